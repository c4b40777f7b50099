package backends

import "context"

// Tenants is what a Store is besides that keeps objects in its users' own
// accounts.
type Tenants interface {
	// CreateFor is Create in the account of the user whose token it is, and by its
	// rights. Should the token end meanwhile, the store's own user goes on.
	CreateFor(ctx context.Context, token Secret, key string, size int64) (Writer, error)
	// Share says who may read an object by rights of their own: everybody, or the
	// projects, besides its owner.
	Share(ctx context.Context, at Locator, everybody bool, projects []string) error
}

// CreateFor is Create on behalf of a user, where the store within the decorators
// of s tells its users apart.
func CreateFor(ctx context.Context, s Store, token Secret, key string, size int64) (Writer, error) {
	if t, ok := innermost[Tenants](s); ok && token != "" {
		return t.CreateFor(ctx, token, key, size)
	}
	return s.Create(ctx, key, size)
}

// TenantsOf returns the store within the decorators of s, if it is one of users'
// accounts.
func TenantsOf(s Store) (Tenants, bool) { return innermost[Tenants](s) }

// innermost finds an ability within the decorators.
func innermost[T any](s Store) (T, bool) {
	for {
		if t, ok := s.(T); ok {
			return t, true
		}
		d, ok := s.(interface{ Unwrap() Store })
		if !ok {
			var none T
			return none, false
		}
		s = d.Unwrap()
	}
}
