package peers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// Members gives a node a list of nodes, and returns its own.
func (p *Peers) Members(ctx context.Context, n ring.Node, book []byte) ([]byte, error) {
	at := p.of(n)
	x, err := at.begin(ctx, at.calls)
	if err != nil {
		return nil, err
	}
	defer x.end()
	defer x.reuse()
	b, err := x.whole(wire.Members, wire.Ask{Book: book})
	if err != nil {
		return nil, x.verdict(err)
	}
	x.tell(nil)
	return b, nil
}

// whole sends an ask whose answer is no frames.
func (x *exchange) whole(path string, a wire.Ask) ([]byte, error) {
	defer x.watch.rest()
	body, err := x.at.ask(x.in, x.watch, path, a)
	if err != nil {
		return nil, err
	}
	x.body, x.began = body, time.Now()
	b, err := io.ReadAll(io.LimitReader((*progress)(x), wire.MaxBook+1))
	if err == nil && len(b) > wire.MaxBook {
		err = fmt.Errorf("%w: a list of more than %d bytes", wire.ErrGarbage, wire.MaxBook)
	}
	return b, err
}

// Switch has a node make something else of a new connection, which it returns.
func (p *Peers) Switch(ctx context.Context, n ring.Node, path string, a wire.Ask) (net.Conn, error) {
	at := p.of(n)
	a.From, a.To = p.cfg.Self, n.ID
	body, err := a.Encode()
	if err != nil {
		return nil, err
	}
	c, err := at.dial(ctx, "", "")
	if err != nil {
		return nil, at.away("%v", err)
	}
	end := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	_ = c.SetDeadline(time.Now().Add(p.cfg.Connect))
	r, err := request(ctx, c, path, body)
	if !end() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, at.away("%v", err)
	}
	_ = c.SetDeadline(time.Time{})
	return &switched{c, r}, nil
}

// request sends an ask by hand, and returns what is behind its answer.
func request(ctx context.Context, c net.Conn, path string, body []byte) (*bufio.Reader, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://peer"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "glimpse")
	if err := req.Write(c); err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // empty, where the connection is switched
	if resp.StatusCode != http.StatusSwitchingProtocols {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return nil, fmt.Errorf("status %d: %q", resp.StatusCode, bytes.TrimSpace(why))
	}
	return r, nil
}

// switched is a connection of which some may have been read.
type switched struct {
	net.Conn
	r *bufio.Reader
}

func (s *switched) Read(b []byte) (int, error) { return s.r.Read(b) }
