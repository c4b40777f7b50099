package policy

import (
	"fmt"
	"maps"
	"slices"
)

// Engine checks requests against a set of rules. It never changes and may be
// used by many goroutines.
type Engine struct {
	rules map[string]Check
	other Check // for names that are not defined; nil refuses
}

// New parses the rules; overrides replace defaults of the same name. An override
// of a name that is not among the defaults is taken too: other rules may refer to
// it. An override named "default" also stands for each rule that is not defined;
// the default of that name does not.
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
	if _, ok := overrides["default"]; ok {
		e.other = e.rules["default"]
	}
	return e, nil
}

// Allows says whether the rule lets the caller act on the target. A rule that is
// not defined refuses, unless the overrides hold a "default"; so do
// system-scoped credentials, which no rule of the Image API has among its scopes.
func (e *Engine) Allows(rule string, c Credentials, t Target) bool {
	if c.SystemScope {
		return false
	}
	q := question{engine: e, creds: c, target: t}
	return q.rule(rule) && !q.broken
}
