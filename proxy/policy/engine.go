package policy

import (
	"fmt"
	"maps"
	"slices"
)

// maxRefs is how many rules may refer to one another in a row; more is taken for
// a circle, which refuses.
const maxRefs = 32

// Engine checks requests against a set of rules. It never changes and may be
// used by many goroutines.
type Engine struct{ rules map[string]Check }

// New parses the rules; overrides replace defaults of the same name. An override
// of a name that is not among the defaults is taken too: other rules may refer to
// it.
func New(defaults, overrides map[string]string) (*Engine, error) {
	e := &Engine{rules: make(map[string]Check, len(defaults))}
	all := maps.Clone(defaults)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, overrides)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c, err := Parse(all[name])
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", name, err)
		}
		e.rules[name] = c
	}
	return e, nil
}

// Allows says whether the rule lets the caller act on the target. A rule that is
// not defined refuses; so do system-scoped credentials, which no rule of the
// Image API has among its scopes.
func (e *Engine) Allows(rule string, c Credentials, t Target) bool {
	return !c.SystemScope && e.allows(rule, c, t, 0)
}

func (e *Engine) allows(rule string, c Credentials, t Target, depth int) bool {
	k, ok := e.rules[rule]
	return ok && depth <= maxRefs && k.allows(e, c, t, depth)
}
