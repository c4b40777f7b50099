package main

import (
	"log/slog"
	"strconv"
	"time"

	"glimpse/cmd/glimpse/config"
	"glimpse/proxy"
	"glimpse/proxy/identity"
	"glimpse/proxy/ops"
	"glimpse/proxy/policy"
	"glimpse/registry"
)

// proxyConfig hands the API what it needs.
func proxyConfig(n *node, id string, images registry.Images, members registry.Members, svc *ops.Service, auth identity.Authenticator, rules *policy.Engine, m *metrics) proxy.Config {
	c := n.config
	return proxy.Config{
		Images: images, Members: members, Ops: svc, Auth: auth, Policy: rules,
		PublicEndpoint: c.API.PublicEndpoint, LimitParamDefault: c.API.LimitParamDefault, APILimitMax: c.API.APILimitMax,
		ShowMultipleLocations: c.API.ShowMultipleLocations, ShowImageDirectURL: c.API.ShowImageDirectURL, SingleStore: c.API.SingleStore,
		Limits: c.API.ImageLimits(), HashAlgo: c.API.HashingAlgorithm, MaxConnections: c.Limits.MaxConnections, HeaderTimeout: c.Limits.HeaderTimeout,
		StallTimeout: c.Limits.StallTimeout, MinRate: int64(c.Limits.MinRate), Log: n.log,
		NodeID: id, Nodes: nearby(n.cluster, c, id),
		Observe: func(route string, code int, took time.Duration) {
			m.http.WithLabelValues(route, strconv.Itoa(code)).Observe(took.Seconds())
		},
	}
}

func keystoneConfig(k config.Keystone, log *slog.Logger) identity.KeystoneConfig {
	return identity.KeystoneConfig{
		AuthURL: k.AuthURL, Username: k.Username, Password: k.Password, ProjectName: k.ProjectName,
		UserDomainName: k.UserDomainName, ProjectDomainName: k.ProjectDomainName,
		ApplicationCredentialID: k.ApplicationCredentialID, ApplicationCredentialSecret: k.ApplicationCredentialSecret,
		RegionName: k.RegionName, Interface: k.Interface, CAFile: k.CAFile, Insecure: k.Insecure, WWWAuthenticateURI: k.WWWAuthenticateURI,
		TokenCacheTime: k.TokenCacheTime, ServiceTokenRoles: k.ServiceTokenRoles, ServiceTokenRolesRequired: k.ServiceTokenRolesRequired,
		OutageGrace: k.OutageGrace, Log: log,
	}
}
