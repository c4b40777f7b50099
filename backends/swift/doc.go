// Package swift is the origin store on OpenStack Swift, or on another server that
// speaks its API.
package swift
