// Package policy answers what a caller may do: rules in oslo.policy's language,
// checked against the caller's credentials and the thing acted upon. It is pure:
// no files, no clock, the standard library only.
//
// What holds: rules that refer to themselves or take too many steps refuse, also
// under a "not"; a rule that is not defined refuses; rules that can't be parsed
// make no engine. What may be lost: nothing, there is no state.
package policy
