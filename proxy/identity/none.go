package identity

import "context"

// None takes everybody for an admin without project.
func None() Authenticator { return none{} }

type none struct{}

func (none) Authenticate(context.Context, Request) (Identity, error) {
	return Identity{Roles: []string{"admin", "member", "reader"}, Anonymous: true}, nil
}

func (none) Challenge() string { return "" }
func (none) Close() error      { return nil }
