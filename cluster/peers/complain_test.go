package peers_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/wire"
)

// A peer that sends what is wrong, or too slowly, is named in the log, with its fault:
// one line for each fault, however often it does so, and not a byte of what it sent.
func TestABadPeerIsNamedInTheLog(t *testing.T) {
	const content = "secret-content"
	send := func(frames ...[]byte) func(io.Writer, <-chan struct{}) {
		return func(w io.Writer, _ <-chan struct{}) {
			for _, f := range frames {
				_, _ = w.Write(f)
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(w io.Writer, stop <-chan struct{})
		says   string
	}{
		"noise":          {send([]byte(strings.Repeat(content, 10))), "no sense"},
		"too much":       {send(opened, piece(0, content)), "no sense"},
		"too little":     {send(opened, piece(0, content[:5]), bare(wire.End)), "no sense"},
		"wrong checksum": {send(opened, flipped(piece(0, content[:10]), 30)), "checksums"},
		"cut":            {send(opened), "broke"},
		"dribbles": {func(w io.Writer, _ <-chan struct{}) {
			for _, b := range append(bytes.Clone(opened), piece(0, content[:10])...) {
				time.Sleep(20 * time.Millisecond)
				if _, err := w.Write([]byte{b}); err != nil {
					return
				}
			}
		}, "slowly"},
		"silent": {func(w io.Writer, stop <-chan struct{}) {
			_, _ = w.Write(opened)
			<-stop
		}, "sign of life"},
	} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			defer close(stop)
			at := liar(t, func(w io.Writer) { c.answer(w, stop) })
			at.Name = "rack-7"
			log := &lines{}
			config := peers.Config{Log: slog.New(slog.NewTextHandler(log, nil)), Slow: 100 * time.Millisecond}
			if name == "silent" {
				config.Stall = 100 * time.Millisecond
			}
			p := asker(t, config)
			for range 3 {
				if got, err := take(t, p, at, 0); err == nil {
					t.Fatalf("%q", got)
				}
			}
			all := log.String()
			if strings.Count(all, "\n") != 1 {
				t.Errorf("it says %s", all)
			}
			for _, want := range []string{"node=" + clustertest.Other, "name=rack-7", c.says} {
				if !strings.Contains(all, want) {
					t.Errorf("no %s in %s", want, all)
				}
			}
			if strings.Contains(all, content[:5]) {
				t.Errorf("what it sent is in %s", all)
			}
		})
	}
}
