package main

import "glimpse/cmd/glimpse/imageapi"

// exitCode is what the process ends with. The README tells of the codes.
func exitCode(err error) int {
	if code := imageapi.CodeOf(err); code != 0 {
		return int(code)
	}
	return int(imageapi.Failed)
}

// usageCode is what the process ends with for kong, whose own code for a wrong
// command line is 80.
func usageCode(code int) int {
	if code == 80 {
		return int(imageapi.Usage)
	}
	return code
}
