package backends

// PartWriter is a Writer that sends an object in parts, each of them whole: so it
// can send one again after a failure, and the memory for it is the caller's.
type PartWriter interface {
	Writer
	// PartSize is how many bytes the next part has, unless it is the last one. It
	// grows, doubling, where the store allows only so many parts.
	PartSize() int64
	// WritePart sends the next part, the bytes of bufs one after another. The
	// caller has bufs back when it returns. A part that is not of PartSize is the
	// last one. It is not to be mixed with Write.
	WritePart(bufs ...[]byte) error
}

// Gather is the Write of a PartWriter, for callers without buffers of their own:
// it holds one part.
type Gather struct{ part []byte }

// Write takes p, and has every part that is full sent.
func (g *Gather) Write(w PartWriter, p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(int64(len(p)), w.PartSize()-int64(len(g.part)))
		g.part = append(g.part, p[:k]...)
		p, n = p[k:], n+int(k)
		if int64(len(g.part)) == w.PartSize() {
			if err := g.Flush(w); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Flush has the rest sent, if there is any; Commit calls it.
func (g *Gather) Flush(w PartWriter) error {
	if len(g.part) == 0 {
		return nil
	}
	err := w.WritePart(g.part)
	g.part = g.part[:0]
	return err
}
