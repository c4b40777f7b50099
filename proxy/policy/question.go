package policy

const (
	// maxRefs is how many rules may refer to one another in a row; more is taken for
	// a circle.
	maxRefs = 32
	// maxSteps is how many checks one question may take: rules that each name
	// another twice would else double the work with each of them.
	maxSteps = 1000
)

// question is one question to an engine. A question that is broken, by a circle
// or for want of steps, is refused as a whole: under a "not", a mere false of the
// part at fault would become a yes.
type question struct {
	engine *Engine
	creds  Credentials
	target Target
	depth  int
	steps  int
	broken bool
}

// ask tests one check.
func (q *question) ask(k Check) bool {
	if q.steps++; q.steps > maxSteps {
		q.broken = true
	}
	return !q.broken && k.allows(q)
}

// rule tests the rule of that name, or the operator's own default where there is
// no such rule.
func (q *question) rule(name string) bool {
	k, ok := q.engine.rules[name]
	if !ok {
		k = q.engine.other
	}
	if k == nil {
		return false
	}
	if q.depth++; q.depth > maxRefs {
		q.broken = true
	}
	defer func() { q.depth-- }()
	return q.ask(k)
}
