package identity

import (
	"context"
	"net/netip"
	"time"
)

// Identity is who asks.
type Identity struct {
	UserID, UserName       string
	ProjectID, ProjectName string
	DomainID               string // of a domain-scoped token
	UserDomainID           string
	ProjectDomainID        string
	Roles                  []string // lower case
	ServiceRoles           []string // of a valid service token beside it, lower case
	SystemScope            bool     // a system-scoped token: the Image API answers 403
	Anonymous              bool     // mode none: everybody is an admin without project
	Expires                time.Time
}

// Request is the part of a request that tells who asks. Its strings are copies.
type Request struct {
	Token        string
	ServiceToken string
	Remote       netip.Addr
	Header       func(name string) string // the value is a copy; used by trusted headers
	Method, Path string                   // for the access rules of application credentials
}

// Authenticator finds out who asks. Errors carry image.Unauthenticated for a
// missing, bad or expired token and image.Unavailable where nobody can tell now.
type Authenticator interface {
	Authenticate(ctx context.Context, r Request) (Identity, error)
	// Challenge is the WWW-Authenticate header of a 401; "" for none.
	Challenge() string
	Close() error
}
