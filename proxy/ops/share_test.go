package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/mem"
	"glimpse/registry/image"
)

// accounts is a store of users' accounts that notes what it is asked.
type accounts struct {
	*mem.Store
	tokens []string
	lists  []string
	err    error
}

func (a *accounts) CreateFor(ctx context.Context, token backends.Secret, key string, size int64) (backends.Writer, error) {
	a.tokens = append(a.tokens, token.Reveal())
	return a.Store.Create(ctx, key, size)
}

func (a *accounts) Share(_ context.Context, _ backends.Locator, everybody bool, projects []string) error {
	a.lists = append(a.lists, fmt.Sprint(everybody, projects))
	return a.err
}

// An upload goes to its user's account, through all decorators, and the account is
// told who may read it.
func TestAnUploadOnBehalfOfItsUser(t *testing.T) {
	a := &accounts{Store: mem.New("m")}
	b := newBench(t, func(c *Config) {
		c.Stores[0].Backend = backends.Observe(backends.Limit(backends.Retry(backends.Breaker(a, backends.Breaking{}), backends.Retries{Max: 1}), backends.Limits{Streams: 1}), backends.Observer{})
	})
	up := func(token image.Secret, v image.Visibility) image.Image {
		t.Helper()
		m := b.queued(func(m *image.Image) { m.Visibility = v })
		if v == image.Shared {
			if _, err := b.reg.AddMember(t.Context(), m.ID, "p2", -1); err != nil {
				t.Fatal(err)
			}
		}
		m, err := b.Upload(t.Context(), Upload{Image: m, Body: strings.NewReader("x"), Announced: 1, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	up("one", image.Private)
	up("two", image.Shared)
	up("three", image.Public)
	m := up("four", image.Community)
	if want := []string{"one", "two", "three", "four"}; !slices.Equal(a.tokens, want) {
		t.Errorf("on behalf of %v", a.tokens)
	}
	if want := []string{"false []", "false [p2]", "true []", "true []"}; !slices.Equal(a.lists, want) {
		t.Errorf("the lists are %v", a.lists)
	}
	a.err = errors.New("refused")
	m.Visibility = image.Private
	b.Share(t.Context(), m) // is in the log
	if len(a.lists) != 5 {
		t.Error("the store is not told")
	}
	up("", image.Private)
	if len(a.tokens) != 4 {
		t.Error("an upload by nobody is on behalf of somebody")
	}
}
