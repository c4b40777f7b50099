package inspect

// capture keeps one range of the stream.
type capture struct {
	off  int64
	size int
	data []byte
	then func() // runs when the capture is whole; may be nil
}

// capture asks for size bytes at off. It returns nil where they begin before the
// end of after, the capture that led to them: whether they are still to come must
// not depend on how the stream is cut.
func (i *Inspector) capture(after *capture, off int64, size int, then func()) *capture {
	if after != nil && off < after.off+int64(after.size) {
		return nil
	}
	c := &capture{off: off, size: size, then: then}
	i.open = append(i.open, c)
	return c
}

func (c *capture) whole() bool { return c != nil && len(c.data) == c.size }

// bytes returns what was captured, fewer than size where the stream was short.
func (c *capture) bytes() []byte {
	if c == nil {
		return nil
	}
	return c.data
}

// take copies what it wants of p, which lies at pos of the stream, and reports
// whether it's whole now.
func (c *capture) take(p []byte, pos int64) bool {
	from := c.off + int64(len(c.data)) - pos
	if from < int64(len(p)) {
		if c.data == nil {
			c.data = make([]byte, 0, c.size)
		}
		p = p[from:]
		c.data = append(c.data, p[:min(len(p), c.size-len(c.data))]...)
	}
	return c.whole()
}

// tail keeps the last bytes of the stream.
type tail struct {
	buf []byte // its last tailSize bytes count
}

func (t *tail) write(p []byte) {
	if len(p) >= tailSize {
		t.buf = append(t.buf[:0], p[len(p)-tailSize:]...)
		return
	}
	if len(t.buf)+len(p) > 4*tailSize {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailSize:]...)
	}
	t.buf = append(t.buf, p...)
}

// last returns the last n bytes, fewer where the stream was shorter; n is at
// most tailSize.
func (t *tail) last(n int) []byte { return t.buf[max(0, len(t.buf)-n):] }
