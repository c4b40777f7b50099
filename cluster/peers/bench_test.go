package peers_test

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/serve"
)

// BenchmarkExtent moves extents of 64 MiB over loopback; cpu-s/GiB is of both ends
// together, the kernel's share included.
func BenchmarkExtent(b *testing.B) {
	for _, secure := range []bool{false, true} {
		name := "plain"
		if secure {
			name = "TLS"
		}
		b.Run(name, func(b *testing.B) { benchmark(b, secure) })
	}
}

func benchmark(b *testing.B, secure bool) {
	const extent = 64 << 20
	data := clustertest.NewBytes(chunk.Default, extent)
	steps := data.Steps(0, extent)
	for i := range steps { // no zeros, and no digests that take longer than the way
		p := &steps[i].Piece
		p.Zero, p.Data, p.Digest = false, data.Data[p.Off:p.Off+p.Len], chunk.Digest{1}
	}
	sc := serve.Config{Geometry: chunk.Default, Local: &clustertest.Local{Open: func(ctx context.Context, _ cluster.Ask, _, _ int64) (chunk.Stream, error) {
		return clustertest.NewScript(ctx, steps...), nil
	}}}
	var pc peers.Config
	if secure {
		a := newAuthority(b)
		sc.Identity, pc.Identity = a.node(label, clustertest.Other), a.node(label, clustertest.Self)
	}
	s, p := listen(b, sc), asker(b, pc)
	q := cluster.Ask{Object: chunk.Object{Key: "p:1", Size: extent}, Geometry: chunk.Default, Level: cluster.Home}
	b.SetBytes(extent)
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		st, err := p.OpenRange(b.Context(), s.at, q, 0, extent)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = st.Next()
		}
		st.Close()
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-before).Seconds()/(float64(b.N)*extent/(1<<30)), "cpu-s/GiB")
}

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
