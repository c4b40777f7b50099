package open

import (
	"time"

	"glimpse/backends/rbd"
)

// RBD holds the keys of type rbd. Only a build with the tag ceph opens it.
type RBD struct {
	Conf             string        `yaml:"conf"`
	Pool             string        `yaml:"pool"`
	User             string        `yaml:"user"`
	ChunkSize        Size          `yaml:"chunk_size"`
	ThinProvisioning bool          `yaml:"thin_provisioning"`
	ConnectTimeout   time.Duration `yaml:"connect_timeout"`
	OpTimeout        time.Duration `yaml:"op_timeout"`
}

// Resolve finds the conf beside the configuration and fills in the defaults.
func (r *RBD) Resolve(d Dirs) error {
	r.Conf = Under(d.Config, r.Conf)
	c, err := r.config().Check()
	if err != nil {
		return err
	}
	r.Pool, r.ChunkSize, r.ConnectTimeout, r.OpTimeout = c.Pool, Size(c.ChunkSize), c.ConnectTimeout, c.OpTimeout
	return nil
}

func (r *RBD) config() rbd.Config {
	return rbd.Config{
		Conf: r.Conf, Pool: r.Pool, User: r.User, ChunkSize: int64(r.ChunkSize), Thin: r.ThinProvisioning,
		ConnectTimeout: r.ConnectTimeout, OpTimeout: r.OpTimeout,
	}
}

// Properties are Glance's of an rbd store.
func (r *RBD) Properties() map[string]any {
	return map[string]any{"chunk_size": int64(r.ChunkSize), "pool": r.Pool, "thin_provisioning": r.ThinProvisioning}
}
