package pull

import (
	"context"

	"glimpse/cmd/glimpse/imageapi"
)

// hash follows the chunks in order as they are written, and reads them from the
// file.
func (k *chunkwise) hash(ctx context.Context) (string, error) {
	p := imageapi.NewProof(k.Image)
	if p.Idle() {
		return "", nil
	}
	m := k.Manifest
	buf, zeros := make([]byte, m.Chunk), make([]byte, m.Chunk)
	for i := range m.Digests {
		if err := k.board.await(ctx, i); err != nil {
			return "", err
		}
		off, n := m.Span(i)
		b := zeros[:n] // missing has seen to it
		if !m.Zero(i) {
			b = buf[:n]
			if _, err := k.part.f.ReadAt(b, off); err != nil {
				return "", err
			}
		}
		_, _ = p.Write(b)
	}
	return p.Conclude()
}
