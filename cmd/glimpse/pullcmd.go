package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"glimpse/cmd/glimpse/imageapi"
	"glimpse/cmd/glimpse/pull"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// apiFlags say which Image API is asked, as whom.
type apiFlags struct {
	OSCloud  string `name:"os-cloud" placeholder:"NAME" help:"Cloud of clouds.yaml; without it the OS_* variables count."`
	Endpoint string `placeholder:"URL" help:"The Image API, instead of the catalog's; OS_IMAGE_ENDPOINT."`
	Zone     string `help:"The zone of this machine; that of the node that answers first where it is not said."`
	Quiet    bool   `short:"q" help:"Say nothing but errors."`
}

// interrupts are the signals that a command is told to end by, but for those that it
// was started to ignore, as nohup does: a terminal that is closed is to leave as
// little behind as one at which Ctrl-C was typed.
func interrupts() []os.Signal {
	list := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// withAPI logs in. Its context ends with the first signal; a second one ends the
// process, whatever it waits for.
func (f apiFlags) withAPI(parent context.Context, fn func(context.Context, *imageapi.Session) error) error {
	ctx, stop := signal.NotifyContext(parent, interrupts()...)
	defer stop()
	context.AfterFunc(ctx, stop)
	s, err := imageapi.Open(ctx, imageapi.Login{Cloud: f.OSCloud, Endpoint: f.Endpoint})
	if err == nil {
		defer s.Close()
		err = fn(ctx, s)
	}
	if err == nil || ctx.Err() == nil { // what is done is done
		return err
	}
	if imageapi.CodeOf(err) == 0 && errors.Is(err, context.Canceled) {
		err = nil // which says no more
	}
	return &imageapi.Error{Code: imageapi.Interrupted, Msg: "interrupted", Err: err}
}

func (f apiFlags) say(format string, args ...any) {
	if !f.Quiet {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}

func (f apiFlags) bar(total int64, what string) *progressbar.ProgressBar {
	if f.Quiet {
		return progressbar.NewOptions64(total, progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetVisibility(false))
	}
	return bar(total, what)
}

type pullCmd struct {
	apiFlags
	Image   string        `arg:"" help:"Id or name of the image."`
	File    string        `arg:"" help:"Where it is to be; - is the standard output."`
	Streams int           `default:"8" help:"Connections at once."`
	Nodes   int           `default:"4" help:"Nodes at once."`
	Stall   time.Duration `default:"20s" help:"A transfer that gives next to nothing (16 KiB) for so long goes on elsewhere."`
	GiveUp  time.Duration `default:"2m" help:"After so long without any progress the command ends with 6."`
}

// Run says at the end what was done, on the standard error.
func (c pullCmd) Run(ctx context.Context, out io.Writer) error {
	if c.File == "" || c.Stall <= 0 || c.GiveUp <= 0 || c.Streams <= 0 || c.Nodes <= 0 {
		return imageapi.Errorf(imageapi.Usage, "the file needs a name, and --stall, --give-up, --streams and --nodes more than 0")
	}
	if f, ok := out.(*os.File); ok && c.piped() && term.IsTerminal(int(f.Fd())) {
		return imageapi.Errorf(imageapi.Usage, "the standard output is a terminal, and an image nothing to look at")
	}
	return c.withAPI(ctx, func(ctx context.Context, s *imageapi.Session) error {
		m, err := s.Find(ctx, c.Image)
		if err != nil {
			return err
		}
		if m.Size == nil || m.Status != "active" && m.Status != "deactivated" {
			return imageapi.Errorf(imageapi.NotFound, "image %s is %s: it has no data", m.ID, m.Status)
		}
		manifest, err := s.Manifest(ctx, m.ID, *m.Size)
		if err != nil {
			if imageapi.CodeOf(err) == imageapi.NotAllowed {
				return err
			}
			c.say("one stream only: %v", err)
		}
		unsure := err
		nodes, err := s.Nodes(ctx, c.Zone)
		if err != nil {
			return err
		}
		b := c.bar(*m.Size, "pulling")
		p := pull.Config{
			Session: s, Image: m, Manifest: manifest, Unsure: unsure, Nodes: nodes, Streams: c.Streams, Use: c.Nodes, Stall: c.Stall, GiveUp: c.GiveUp,
			Progress: func(n int64) { _ = b.Add64(n) },
		}
		start := time.Now()
		var r pull.Report
		if c.piped() {
			r, err = p.ToWriter(ctx, out)
		} else {
			r, err = p.ToFile(ctx, c.File)
		}
		_ = b.Finish()
		if r.Part != "" {
			c.say("%s is kept; the same command goes on from there", r.Part)
		}
		if err != nil {
			return err
		}
		c.say("%s", told(m, r, time.Since(start)))
		return nil
	})
}

// piped says whether the image goes to the standard output, which has a name too.
func (c pullCmd) piped() bool { return c.File == "-" || c.File == "/dev/stdout" }

// told is what a pull has done, in a line.
func told(m imageapi.Image, r pull.Report, took time.Duration) string {
	s := fmt.Sprintf("%s: %s, %s of it over the network from %s in %s", m.ID, humanize.IBytes(uint64(r.Size)), humanize.IBytes(uint64(r.Fetched)), count(r.Nodes, "node"), took.Round(10*time.Millisecond))
	if r.Kept > 0 {
		s += fmt.Sprintf(", %s were here", humanize.IBytes(uint64(r.Kept)))
	}
	if r.Wrong > 0 {
		s += fmt.Sprintf(", %s fetched again because wrong", count(r.Wrong, "chunk"))
	}
	if r.Failed > 0 {
		s += fmt.Sprintf(", %s broke off", count(r.Failed, "transfer"))
	}
	if r.Proof == "" {
		return s + "; its record has no hash to compare with"
	}
	return s + "; " + r.Proof + " is right"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}
