package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"glimpse/cmd/glimpse/imageapi"
	"glimpse/cmd/glimpse/push"

	"github.com/dustin/go-humanize"
)

type pushCmd struct {
	apiFlags
	File            string            `arg:"" help:"The file; - is the standard input."`
	Name            string            `help:"Name of the image; the file's where it is not said."`
	ID              string            `name:"id" help:"Id of the image; the service makes one where it is not said."`
	DiskFormat      string            `help:"What the file is; guessed where it is not said."`
	ContainerFormat string            `default:"bare" help:"What is around it."`
	Visibility      string            `placeholder:"private" help:"private, shared, community or public."`
	Property        map[string]string `short:"p" mapsep:"none" help:"A property, several times where there are several." placeholder:"NAME=VALUE"`
	Tag             []string          `sep:"none" help:"A tag, several times where there are several."`
	MinDisk         int               `help:"Least disk of a server, GB."`
	MinRAM          int               `name:"min-ram" help:"Least memory of a server, MB."`
	Store           string            `help:"The store it goes to; the default one where it is not said."`
	Stall           time.Duration     `default:"1m" help:"An upload of which nothing moves for so long is given up."`
}

// Run prints the image's id.
func (c pushCmd) Run(ctx context.Context, in *os.File, out io.Writer) error {
	if c.Stall <= 0 {
		return imageapi.Errorf(imageapi.Usage, "--stall has to be more than 0")
	}
	return c.withAPI(ctx, func(ctx context.Context, s *imageapi.Session) error {
		p := push.Config{Session: s, Attributes: c.attributes(), Store: c.Store, Stall: c.Stall, Stream: in}
		total := int64(-1)
		if c.File != "-" {
			f, err := os.OpenFile(c.File, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would be waited for
			if err != nil {
				return err
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return err
			}
			if !st.Mode().IsRegular() {
				return imageapi.Errorf(imageapi.Usage, "%s is no file; - reads the standard input", c.File)
			}
			p.File, p.Size, total = f, st.Size(), st.Size()
		}
		if err := c.complete(&p); err != nil {
			return err
		}
		var err error
		if p.Nodes, err = s.Nodes(ctx, c.Zone); err != nil {
			return err
		}
		b := c.bar(total, "pushing")
		p.Progress = func(n int64) { _ = b.Add64(n) }
		start := time.Now()
		m, proof, err := p.Run(ctx)
		_ = b.Finish()
		if err != nil {
			return err
		}
		if proof == "" {
			proof = "its size, which is all there is to compare,"
		}
		c.say("%s of %s in %s; %s is right", humanize.IBytes(uint64(*m.Size)), c.File, time.Since(start).Round(10*time.Millisecond), proof)
		_, err = fmt.Fprintln(out, m.ID)
		return err
	})
}

// complete adds what is not said: the name and the disk format.
func (c pushCmd) complete(p *push.Config) (err error) {
	if c.DiskFormat == "" {
		if p.File == nil {
			return imageapi.Errorf(imageapi.Usage, "what comes by the standard input is not looked at before: say --disk-format")
		}
		if p.Attributes["disk_format"], err = push.Format(p.File, p.Size); err != nil {
			return err
		}
	}
	if c.Name == "" && p.File != nil {
		p.Attributes["name"] = filepath.Base(c.File)
	}
	return nil
}

// attributes are those of the image that were said.
func (c pushCmd) attributes() map[string]any {
	a := map[string]any{}
	for k, v := range c.Property {
		a[k] = v
	}
	for k, v := range map[string]string{"name": c.Name, "id": c.ID, "disk_format": c.DiskFormat, "container_format": c.ContainerFormat, "visibility": c.Visibility} {
		if v != "" {
			a[k] = v
		}
	}
	if len(c.Tag) > 0 {
		a["tags"] = c.Tag
	}
	if c.MinDisk > 0 {
		a["min_disk"] = c.MinDisk
	}
	if c.MinRAM > 0 {
		a["min_ram"] = c.MinRAM
	}
	return a
}
