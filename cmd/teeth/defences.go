package main

import "slices"

// defences are all of them; those of a package stand in a file of its name.
var defences = slices.Concat(cachestoreDefences, clusterDefences, registryDefences, backendsDefences, proxyDefences, cmdDefences)
