// Package systest drives the built node as its users do: real images, real
// clients, a real Keystone and a real Glance beside it. Nothing of the node is
// imported; what it does is seen over HTTP, in its folders, and at its origin.
package systest
