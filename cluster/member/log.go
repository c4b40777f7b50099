package member

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// refusal is why something that came by gossip was not taken.
type refusal uint8

const (
	wrongLabel refusal = iota
	noLabel
	wrongKey
	garbled
	conflict
	overrun
	badMeta
	refusals // how many there are
)

func (r refusal) String() string {
	return [...]string{
		"it has another cluster label",
		"it has no cluster label, or said nothing",
		"its gossip key is not one of ours, or it has none",
		"it makes no sense",
		"another node has the same id",
		"more came than could be handled",
		"what a node tells of itself makes no sense",
	}[r]
}

// signs are what memberlist's messages say for each.
var signs = []struct {
	text string
	why  refusal
}{
	{`stream with unacceptable label ""`, noLabel}, // also a connection that is closed before a word
	{"unacceptable label", wrongLabel},
	{"stream label header", noLabel},
	{"Decrypt packet failed", wrongKey},
	{"o installed keys could decrypt", wrongKey}, // N or n
	{"encryption is not configured", wrongKey},
	{"encryption is configured but", wrongKey},
	{"handler queue full", overrun},
	{"Too many pending push/pull", overrun},
	{"failed to receive", garbled},
	{"Failed to decode", garbled},
	{"Failed to decompress", garbled},
	{"Failed to read remote state", garbled},
	{"Failed to receive user message", garbled},
	{"not supported", garbled},
	{"invalid msgType", garbled},
	{"invalid checksum", garbled},
	{"missing message type", garbled},
	{"truncated messages", garbled},
	{"packet too short", garbled},
}

const (
	quiet     = time.Minute // between two lines on one reason and one address
	maxVoices = 256
)

// gossipLog turns memberlist's lines into ours, counts what was refused, and says
// so once a minute for each address and reason: addresses can be forged, so not
// more often than once a second in all.
type gossipLog struct {
	log  *slog.Logger
	rate *rate.Limiter
	end  atomic.Bool // what is said after Close is no news

	mu    sync.Mutex
	count [refusals]uint64
	said  map[voice]time.Time // at most maxVoices
}

type voice struct {
	why  refusal
	from string
}

func newGossipLog(log *slog.Logger) *gossipLog {
	return &gossipLog{log: log, rate: rate.NewLimiter(1, 30), said: map[voice]time.Time{}}
}

// Write takes one line: "[LEVEL] memberlist: text".
func (g *gossipLog) Write(line []byte) (int, error) {
	if g.end.Load() {
		return len(line), nil
	}
	text := string(bytes.TrimSpace(line))
	level := slog.LevelWarn
	if l, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "] "); ok && len(l) < 8 {
		text = rest
		switch l {
		case "DEBUG":
			level = slog.LevelDebug
		case "INFO":
			level = slog.LevelInfo
		}
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	for _, s := range signs {
		if strings.Contains(text, s.text) {
			g.refuse(s.why, from(text), text)
			return len(line), nil
		}
	}
	if strings.HasPrefix(text, "Got ping for unexpected node") || // an earlier start of this one
		strings.HasPrefix(text, "Conflicting address") { // NotifyConflict says it
		level = slog.LevelDebug
	}
	if level >= slog.LevelWarn && !g.rate.Allow() {
		return len(line), nil
	}
	g.log.Log(context.Background(), level, "gossip", "said", text)
	return len(line), nil
}

// from returns the host in memberlist's "from=host:port".
func from(text string) string {
	_, rest, _ := strings.Cut(text, "from=")
	address, _, _ := strings.Cut(rest, " ")
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	return address
}

func (g *gossipLog) refuse(why refusal, from, said string) {
	if g.first(why, from) && g.rate.Allow() {
		g.log.WarnContext(context.Background(), "gossip refused", "from", from, "because", why.String(), "said", said)
	}
}

// first counts, and says whether this is to be logged.
func (g *gossipLog) first(why refusal, from string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count[why]++
	v, now := voice{why, from}, time.Now()
	if at, ok := g.said[v]; ok && now.Sub(at) < quiet {
		return false
	}
	if len(g.said) >= maxVoices {
		clear(g.said)
	}
	g.said[v] = now
	return true
}

func (g *gossipLog) counts() [refusals]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}
