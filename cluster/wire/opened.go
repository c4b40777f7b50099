package wire

// opened is the head of an opened frame: one byte of flags. Flags that are not
// known are ignored, as is a head that is longer.
const openedHot = 1

// OpenedHead is the head of an opened frame: hot says that several nodes ask for
// the extent.
func OpenedHead(hot bool) []byte {
	if hot {
		return []byte{openedHot}
	}
	return nil
}

// Hot is what OpenedHead was made with.
func (f Frame) Hot() bool { return f.Type == Opened && len(f.head) > 0 && f.head[0]&openedHot != 0 }
