// Package config is the one YAML file of a node: its keys, their defaults, and
// what overrides them. The order is defaults, file, environment, --set flags.
//
// What holds: an unknown key is an error that names its line; every key has a
// default that runs; a value that can't work is refused before anything is
// opened. Secrets are of type Secret and print as "***".
package config
