package cachestore

// window is a reader's read-ahead: fills that it has joined and will come to. It
// keeps them awaited, but pins nothing: what is evicted before the reader comes is
// found on disk or asked for again.
type window struct {
	r     *reader
	fills map[int]*fill
	upTo  int // chunks below have been asked for
}

// last is the last chunk of the reader's range.
func (w *window) last() int { return w.r.s.geo.Index(w.r.end - 1) }

// row is how many chunks one stream should fill when it begins at index.
func (w *window) row(index int) int {
	n := max(1, w.r.s.readAhead/w.r.s.streams)
	return min(n, w.last()-index+1)
}

// hold keeps fills until the reader comes to their chunk.
func (w *window) hold(fills []*fill) {
	for _, f := range fills {
		if w.fills == nil {
			w.fills = map[int]*fill{}
		}
		i := f.id.index
		if w.fills[i] != nil {
			f.leave()
			continue
		}
		w.fills[i] = f
		w.upTo = max(w.upTo, i+1)
	}
}

// take hands over the fill of a chunk that the reader has come to; nil if there
// is none.
func (w *window) take(index int) *fill {
	f := w.fills[index]
	delete(w.fills, index)
	return f
}

// slide asks for the chunks behind index that are missing, in rows, while their
// slabs are free, memory can keep them until the reader comes, and no more streams
// run than the reader may have.
func (w *window) slide(index int) {
	end := min(w.last(), index+w.r.s.readAhead)
	for i := max(index+1, w.upTo); i <= end; {
		if w.streams() >= w.r.s.streams {
			return
		}
		if w.fills[i] != nil || w.r.s.Resident(w.r.o, i) {
			i++
			w.upTo = i
			continue
		}
		w.r.see(i)
		fills := w.r.l.ahead(w.r.o, i, min(w.row(i), end-i+1))
		if len(fills) == 0 {
			return
		}
		w.hold(fills)
		i = w.upTo
	}
}

// streams counts the runs that work for this reader.
func (w *window) streams() int {
	runs := map[*run]bool{}
	if f := w.r.cur.fill; f != nil && !f.ended() {
		runs[f.r] = true
	}
	for _, f := range w.fills {
		if !f.ended() {
			runs[f.r] = true
		}
	}
	return len(runs)
}

func (w *window) close() {
	for i, f := range w.fills {
		f.leave()
		delete(w.fills, i)
	}
}
