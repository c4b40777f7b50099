package member

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Packets whose senders are forged don't fill the log, and are counted all the same.
func TestForgedAddressesDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		g := newGossipLog(slog.New(slog.NewTextHandler(&out, nil)))
		const packets = 20_000
		for i := range packets {
			fmt.Fprintf(g, "[ERR] memberlist: Decrypt packet failed: No installed keys could decrypt the message from=10.0.%d.%d:7946", i/256, i%256)
			time.Sleep(time.Millisecond)
		}
		if n := g.counts()[wrongKey]; n != packets {
			t.Errorf("%d of %d are counted", n, packets)
		}
		if n := bytes.Count(out.Bytes(), []byte("\n")); n == 0 || n > 60 { // in 20 s
			t.Errorf("%d lines", n)
		}
	})
}
