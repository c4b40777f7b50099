package policy

import (
	"slices"
	"strings"
)

// Check is a parsed rule.
type Check interface {
	allows(q *question) bool
}

type always bool

func (a always) allows(*question) bool { return bool(a) }

type anyOf []Check

func (cs anyOf) allows(q *question) bool {
	return slices.ContainsFunc(cs, func(x Check) bool { return q.ask(x) })
}

type allOf []Check

func (cs allOf) allows(q *question) bool {
	return !slices.ContainsFunc(cs, func(x Check) bool { return !q.ask(x) })
}

type negation struct{ of Check }

func (n negation) allows(q *question) bool { return !q.ask(n.of) }

// ruleRef is the check of another rule.
type ruleRef string

func (r ruleRef) allows(q *question) bool { return q.rule(string(r)) }

type roleCheck struct{ match template }

func (r roleCheck) allows(q *question) bool {
	want, ok := r.match.fill(q.target)
	return ok && slices.ContainsFunc(q.creds.Roles, func(have string) bool { return strings.EqualFold(have, want) })
}

// comparison compares a credential, or a literal in quotes, with the match.
type comparison struct {
	left  string
	match template
}

func (k comparison) allows(q *question) bool {
	want, ok := k.match.fill(q.target)
	if !ok {
		return false
	}
	if lit, quoted := literal(k.left); quoted {
		return lit == want
	}
	values, ok := q.creds.values(k.left)
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
