// Package policy answers what a caller may do: rules in oslo.policy's language,
// checked against the caller's credentials and the thing acted upon. It is pure:
// no files, no clock, the standard library only.
//
// What holds: a rule that is not defined, or can't be parsed, or refers to
// itself, refuses. What may be lost: nothing, there is no state.
package policy
