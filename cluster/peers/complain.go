package peers

import (
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// fault is what is wrong with a peer.
type fault uint8

const (
	unreached fault = iota
	refuses
	stalls
	dribbles
	breaks
	babbles
	damages
	faults
)

// faultText is what the log says. Where the reason behind it may hold what a peer has
// sent, that stays out of the log.
var faultText = [faults]struct {
	why    string
	reason bool // it is of this node's own making
}{
	unreached: {"it can't be reached", false},
	refuses:   {"it refuses this node, or is another one", false},
	stalls:    {"it gives neither bytes nor a sign of life", false},
	dribbles:  {"its bytes come too slowly", false},
	breaks:    {"its connection broke", false},
	babbles:   {"what it sends makes no sense", true},
	damages:   {"what it sends has wrong checksums", false},
}

// grumble bounds how often one fault of one peer is told of.
const grumble = time.Minute

// complain says in one line what is wrong with a peer.
func (at *peer) complain(f fault, err error) {
	if !at.said[f].Allow() {
		return
	}
	text := faultText[f]
	attrs := []any{slog.String("what", "a peer was passed over"), slog.String("why", text.why), slog.String("node", at.id), slog.String("name", at.node.Name)}
	if text.reason {
		attrs = append(attrs, slog.Any("error", err))
	}
	at.p.cfg.Log.Warn("peer plane", attrs...)
}

// grumbles are what bounds complaints, by fault.
func grumbles() (all [faults]*rate.Limiter) {
	for i := range all {
		all[i] = rate.NewLimiter(rate.Every(grumble), 1)
	}
	return all
}
