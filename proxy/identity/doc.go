// Package identity answers who asks: by Keystone tokens, by headers that a
// trusted front sets, or not at all.
//
// What holds: no identity header that a client sends is believed outside the
// trusted-headers mode; a token is remembered by its SHA-256 only and at most
// until it expires; when Keystone is away the answer is Unavailable, not a
// refusal. What may be lost: a revoked token is good for at most the cache time.
package identity
