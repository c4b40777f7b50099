package pull

import (
	"context"
	"errors"
	"io"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// A sink takes an image's bytes in order.
type sink interface {
	Write(b []byte) (int, error)
	// restart takes back all that was written; false: it can't.
	restart() (bool, error)
}

// serial is a pull in one stream, of an image without a manifest.
type serial struct {
	Config
	pool  *pool
	to    sink
	proof *imageapi.Proof
	at    int64   // bytes that are in the sink and in the proof
	wrong []*node // that gave bytes that are not the image's
	r     Report
}

func (c Config) newSerial(to sink) *serial {
	return &serial{Config: c, pool: newPool(c.Nodes, 1), to: to, proof: imageapi.NewProof(c.Image), r: Report{Size: c.size()}}
}

// streamToFile goes on where an earlier pull has ended. Only the hash of the whole
// shows whether that was right, and what the nodes gave; if not, all is fetched
// anew, once, from other nodes where there are any.
func (c Config) streamToFile(ctx context.Context, p *part) (Report, error) {
	to := &fileSink{part: p}
	s := c.newSerial(to)
	if err := s.resume(ctx, to); err != nil {
		return s.r, err
	}
	err := s.run(ctx)
	gave := s.pool.givers()
	if errors.Is(err, imageapi.ErrHash) && (s.r.Kept > 0 || len(gave) < len(s.Nodes)) {
		s.r.Wrong++
		s.wrong = append(s.wrong, gave...)
		if err = s.again(); err == nil {
			err = s.run(ctx)
		}
	}
	if err != nil {
		if errors.Is(err, imageapi.ErrHash) {
			p.forget()
		}
		return s.r, err
	}
	if err := p.f.Truncate(s.at); err != nil { // zeros at the end were not written
		return s.r, err
	}
	return s.r, p.finish()
}

// resume reads what is in the file into the proof.
func (s *serial) resume(ctx context.Context, to *fileSink) error {
	st, err := to.part.f.Stat()
	if err != nil {
		return err
	}
	n := min(st.Size(), s.size())
	if s.proof.Idle() { // nothing would show that it is right
		n = 0
	}
	buf := make([]byte, 1<<20)
	for s.at < n && ctx.Err() == nil {
		k, err := to.part.f.ReadAt(buf[:min(int64(len(buf)), n-s.at)], s.at)
		if err != nil {
			return err
		}
		_, _ = s.proof.Write(buf[:k])
		s.advance(int64(k))
	}
	s.r.Kept, to.at = s.at, s.at
	if err := to.part.f.Truncate(s.at); err != nil {
		return err
	}
	return ctx.Err()
}

func (s *serial) advance(n int64) {
	s.at += n
	s.Progress(n)
}

// again begins anew.
func (s *serial) again() error {
	if ok, err := s.to.restart(); err != nil || !ok {
		return err
	}
	s.Progress(-s.at)
	s.at, s.r.Kept, s.proof = 0, 0, imageapi.NewProof(s.Image)
	return nil
}

// progress is the least number of bytes that counts as such.
const progress = 256 << 10

// run fetches the rest, from one node after the other as they fail.
func (s *serial) run(ctx context.Context) error {
	moved, mark := time.Now(), s.at
	for s.at < s.size() {
		within, cancel := context.WithTimeoutCause(ctx, max(100*time.Millisecond, s.GiveUp-time.Since(moved)), errIdle)
		n, err := s.pool.pick(within, shunned{wrong: s.wrong})
		cancel()
		if err != nil {
			if errors.Is(err, errIdle) {
				err = s.pool.why(err)
			}
			return err
		}
		err = s.fetch(ctx, n)
		if s.at >= mark+progress { // what comes again is none
			moved, mark = time.Now(), s.at
		}
		var f *fatal
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &f):
			return f.error
		case err == nil:
			s.pool.fine(n)
			continue
		}
		s.r.Failed++
		s.pool.failed(n, err)
		wrong := imageapi.CodeOf(err) == imageapi.Wrong
		if wrong {
			s.wrong = append(s.wrong, n)
		}
		if wrong && len(s.wrong) >= len(s.Nodes) || time.Since(moved) > s.GiveUp {
			return err
		}
	}
	s.r.Nodes = len(s.pool.givers())
	var err error
	s.r.Proof, err = s.proof.Conclude()
	return err
}

// fetch reads on from a node.
func (s *serial) fetch(ctx context.Context, n *node) error {
	body, begin, total, err := s.Session.From(ctx, n.Base, s.Image.ID, s.at, s.Stall)
	if err != nil {
		return err
	}
	defer body.Close()
	if total >= 0 && total != s.size() {
		return imageapi.Errorf(imageapi.Wrong, "%s has %d bytes of the image, its record says %d", n.Base, total, s.size())
	}
	skip := int64(0)
	if begin < s.at { // it knows no ranges
		if skip, err = s.back(); err != nil {
			return &fatal{err}
		}
	}
	if _, err := io.CopyN(io.Discard, body, skip); err != nil {
		return imageapi.Wrap(imageapi.Unreachable, err, n.Base+" broke off")
	}
	buf := make([]byte, 1<<20)
	for {
		k, err := body.Read(buf)
		if k > 0 {
			if s.at+int64(k) > s.size() {
				return imageapi.Errorf(imageapi.Wrong, "%s gives more than the %d bytes of the image", n.Base, s.size())
			}
			if _, err := s.to.Write(buf[:k]); err != nil {
				return &fatal{err}
			}
			_, _ = s.proof.Write(buf[:k])
			s.pool.gave(n)
			s.r.Fetched += int64(k)
			s.advance(int64(k))
		}
		switch {
		case errors.Is(err, io.EOF) && s.at < s.size():
			return imageapi.Errorf(imageapi.Unreachable, "%s ended after %d of %d bytes", n.Base, s.at, s.size())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// back returns how many bytes of a stream that begins at 0 are in the sink for good.
func (s *serial) back() (int64, error) {
	before := s.at
	if err := s.again(); err != nil {
		return 0, err
	}
	if s.at == 0 {
		return 0, nil
	}
	return before, nil
}

// fileSink writes a part file from its beginning.
type fileSink struct {
	part *part
	at   int64
}

func (f *fileSink) Write(b []byte) (int, error) {
	err := f.part.write(b, f.at)
	if err == nil {
		f.at += int64(len(b))
	}
	return len(b), err
}

func (f *fileSink) restart() (bool, error) {
	f.at = 0
	return true, f.part.f.Truncate(0)
}
