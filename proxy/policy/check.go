package policy

import (
	"slices"
	"strings"
)

// Check is a parsed rule.
type Check interface {
	allows(e *Engine, c Credentials, t Target, depth int) bool
}

type always bool

func (a always) allows(*Engine, Credentials, Target, int) bool { return bool(a) }

type anyOf []Check

func (cs anyOf) allows(e *Engine, c Credentials, t Target, depth int) bool {
	return slices.ContainsFunc(cs, func(x Check) bool { return x.allows(e, c, t, depth) })
}

type allOf []Check

func (cs allOf) allows(e *Engine, c Credentials, t Target, depth int) bool {
	return !slices.ContainsFunc(cs, func(x Check) bool { return !x.allows(e, c, t, depth) })
}

type negation struct{ of Check }

func (n negation) allows(e *Engine, c Credentials, t Target, depth int) bool {
	return !n.of.allows(e, c, t, depth)
}

// ruleRef is the check of another rule.
type ruleRef string

func (r ruleRef) allows(e *Engine, c Credentials, t Target, depth int) bool {
	return e.allows(string(r), c, t, depth+1)
}

// template is a text with %(name)s in it.
type template struct {
	before, name, after string // name "": the text is before
}

func newTemplate(s string) template {
	before, rest, ok := strings.Cut(s, "%(")
	name, after, closed := strings.Cut(rest, ")s")
	if !ok || !closed || name == "" {
		return template{before: s}
	}
	return template{before, name, after}
}

// fill returns false where the target has no such name.
func (t template) fill(target Target) (string, bool) {
	if t.name == "" {
		return t.before, true
	}
	v, ok := target[t.name]
	return t.before + v + t.after, ok
}

type roleCheck struct{ match template }

func (r roleCheck) allows(_ *Engine, c Credentials, t Target, _ int) bool {
	want, ok := r.match.fill(t)
	return ok && slices.ContainsFunc(c.Roles, func(have string) bool { return strings.EqualFold(have, want) })
}

// comparison compares a credential, or a literal in quotes, with the match.
type comparison struct {
	left  string
	match template
}

func (k comparison) allows(_ *Engine, c Credentials, t Target, _ int) bool {
	want, ok := k.match.fill(t)
	if !ok {
		return false
	}
	if lit, quoted := literal(k.left); quoted {
		return lit == want
	}
	values, ok := c.values(k.left)
	return ok && slices.Contains(values, want)
}

// literal returns what stands in quotes, or a constant of Python's.
func literal(s string) (string, bool) {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1], true
	}
	switch s {
	case "True", "False", "None":
		return s, true
	}
	return s, false
}

// values returns what the credentials hold under a name that rules use. A caller
// without a project does not have the empty project.
func (c Credentials) values(name string) ([]string, bool) {
	one := func(s string) ([]string, bool) { return []string{s}, s != "" }
	switch name {
	case "user_id", "user":
		return one(c.UserID)
	case "project_id", "tenant", "tenant_id":
		return one(c.ProjectID)
	case "domain_id":
		return one(c.DomainID)
	case "roles":
		return c.Roles, true
	case "service_roles":
		return c.ServiceRoles, true
	case "system_scope":
		if c.SystemScope {
			return []string{"all"}, true
		}
	case "is_admin":
		if slices.Contains(c.Roles, "admin") {
			return []string{"True", "true", "1"}, true
		}
		return []string{"False", "false", "0"}, true
	}
	return nil, false
}
