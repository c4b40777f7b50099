package rumor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"glimpse/cluster"
	"glimpse/cluster/member"
	"glimpse/cluster/ring"
)

// Sixteen nodes over UDP on loopback, with a key and the longest label: each
// hears what each other one tells, the largest rumour too.
func TestSixteenNodes(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(member.NewKey()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var listeners []*listener
	var members []*member.Members
	for i := range 16 {
		l := listen(t)
		c := member.Config{
			Self: ring.Node{ID: uuid.NewString(), Name: fmt.Sprint(i), Zone: "z", Weight: 1, Peer: ":9293", Epoch: 1, State: ring.Ready},
			Bind: "127.0.0.1:0", Label: strings.Repeat("l", 64), Keyring: keys, Profile: member.Local,
			Messages: l.Rumors, Log: slog.New(slog.DiscardHandler),
		}
		if i > 0 {
			c.Join = []string{members[0].Address()}
		}
		m, err := member.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		listeners, members = append(listeners, l), append(members, m)
	}
	until(t, "sixteen nodes", func() bool {
		for _, m := range members {
			if m.Count() != 16 {
				return false
			}
		}
		return true
	})
	body := func(i int) string { return fmt.Sprintf("%02d%s", i, strings.Repeat("x", cluster.MaxRumor-2)) }
	for i, l := range listeners {
		if err := l.Spread(cluster.Rumor{Kind: strings.Repeat("k", maxKind), Body: []byte(body(i))}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all hear all", func() bool {
		for i, l := range listeners {
			for j := range listeners {
				if i != j && l.times(strings.Repeat("k", maxKind)+":"+body(j)) == 0 {
					return false
				}
			}
		}
		return true
	})
	for i, l := range listeners {
		if s := l.Stats(); s.Heard != 15 || s.Garbled+s.TooMany+s.Unheard > 0 {
			t.Errorf("node %d: %+v", i, s)
		}
	}
}
