package pull

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"glimpse/cmd/glimpse/imageapi"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
	"lukechampine.com/blake3"
)

// part is the file under way, FILE.part.
type part struct {
	f    *os.File
	name string      // it gets in the end
	mode fs.FileMode // of the file that it replaces; 0: there is none
}

// journal says what a part file is of. Of its bytes it says nothing: they are
// looked at.
type journal struct {
	Version  int    `json:"version"`
	Image    string `json:"image"`
	Size     int64  `json:"size"`
	Hash     string `json:"hash"`
	Manifest string `json:"manifest"` // its BLAKE3; "": none
}

func (c Config) journal() journal {
	j := journal{Version: 1, Image: c.Image.ID, Size: c.size()}
	if p := imageapi.NewProof(c.Image); !p.Idle() {
		j.Hash = p.Algo + ":" + p.Want
	}
	if m := c.Manifest; m != nil {
		h := blake3.New(32, nil)
		fmt.Fprintln(h, m.Size, m.Chunk)
		for i := range m.Digests {
			_, _ = h.Write(m.Digests[i][:]) // never fails
		}
		j.Manifest = hex.EncodeToString(h.Sum(nil))
	}
	return j
}

// openPart opens the part file of what name leads to for the image alone; what is
// there of another one is thrown away.
func openPart(name string, c Config) (_ *part, err error) {
	p := &part{}
	if p.name, p.mode, err = target(name); err != nil {
		return nil, err
	}
	// Where others may write, a link could lead to any file.
	if p.f, err = os.OpenFile(p.name+".part", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o666); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := unix.Flock(int(p.f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errBusy(p.name)
	}
	if err := p.still(); err != nil {
		return nil, err
	}
	if p.mode != 0 {
		// The image is shown to nobody who might not read what was there.
		if err := p.f.Chmod(p.mode | 0o600); err != nil {
			return nil, err
		}
	}
	return p, p.begin(c.journal(), c.Unsure)
}

func errBusy(name string) error {
	return fmt.Errorf("%s.part is being written by another process", name)
}

// still says whether what is open and locked is the part file. Another pull may have
// finished between the two: what is open is then its file, whole, and not to be touched.
func (p *part) still() error {
	have, err := p.f.Stat()
	if err != nil {
		return err
	}
	if !have.Mode().IsRegular() {
		return imageapi.Errorf(imageapi.Usage, "%s is there and no file", p.f.Name())
	}
	if at, err := os.Lstat(p.f.Name()); err != nil || !os.SameFile(at, have) {
		return errBusy(p.name)
	}
	return nil
}

// begin keeps what is there of the same image. Chunks are looked at, whatever they
// were fetched by; a stream goes on where one has ended.
func (p *part) begin(want journal, unsure error) error {
	var have journal
	if b, err := os.ReadFile(p.journal()); err == nil && json.Unmarshal(b, &have) == nil {
		if have == want {
			return nil
		}
		chunks := have.Manifest != ""
		have.Manifest = want.Manifest
		if chunks && have == want && unsure != nil {
			return &imageapi.Error{Code: imageapi.Unreachable, Msg: p.f.Name() + " holds chunks that can't be looked at now; try again, or remove it", Err: unsure}
		}
	}
	if have != want || want.Manifest == "" {
		// First the bytes go, then the journal tells of others.
		if err := p.f.Truncate(0); err != nil {
			return err
		}
	}
	b, err := json.Marshal(want)
	if err != nil {
		return err
	}
	return renameio.WriteFile(p.journal(), append(b, '\n'), 0o644)
}

func (p *part) journal() string { return p.name + ".part.json" }

func (p *part) close() { p.f.Close() }

// forget throws away what is there.
func (p *part) forget() {
	_ = os.Remove(p.f.Name()) // a later pull finds that it is wrong
	_ = os.Remove(p.journal())
}

// finish gives the file its name, on disk.
func (p *part) finish() error {
	if p.mode != 0 {
		if err := p.f.Chmod(p.mode); err != nil {
			return err
		}
	}
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(p.f.Name(), p.name); err != nil {
		return err
	}
	if err := os.Remove(p.journal()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := os.Open(folder(p.name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// missing makes the file as long as the image and says which chunks are to be
// fetched: of these and of those of zeros there is nothing in the file then, not
// even a block. It counts the bytes that need not be fetched.
func (p *part) missing(ctx context.Context, m *imageapi.Manifest, progress func(int64)) (want []bool, kept int64, err error) {
	st, err := p.f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if err := p.f.Truncate(m.Size); err != nil {
		return nil, 0, err
	}
	want = make([]bool, len(m.Digests))
	buf := make([]byte, m.Chunk)
	for i, digest := range m.Digests {
		off, n := m.Span(i)
		hole := off >= st.Size()
		var err error
		if !hole {
			hole, err = p.hole(off, n)
		}
		if err == nil && !hole {
			if _, err = p.f.ReadAt(buf[:n], off); err == nil && !m.Zero(i) && blake3.Sum256(buf[:n]) == digest {
				kept += n
				progress(n)
				continue
			}
			if err == nil {
				err = p.clear(off, n)
			}
		}
		if err != nil {
			return nil, 0, err
		}
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if want[i] = !m.Zero(i); !want[i] {
			progress(n)
		}
	}
	return want, kept, nil
}
