// Package identity answers who asks: by Keystone tokens, by headers that a
// trusted front sets, or not at all.
//
// What holds: no identity header that a client sends is believed outside the
// trusted-headers mode; a token is remembered by its SHA-256 only and at most
// until it expires; when Keystone is away the answer is Unavailable, not a
// refusal, and a token that it called good before stays good for the grace. Errors
// and logs name neither a token nor a password. What may be lost: a revoked token
// is good for at most the cache time, and the grace while Keystone is away; where
// it takes longer than two seconds to answer, until it has answered.
//
// One lock, the validator's; nothing is sent under it. Questions to Keystone run
// on their own bounded context, shared by all who ask the same, and Close waits
// for them.
package identity
