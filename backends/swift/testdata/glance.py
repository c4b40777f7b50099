"""Runs Glance's own Swift driver: glance.py OPERATION AUTH-URL,USER,KEY,CONTAINER LOCATION|ID [FILE]

The result is a JSON list of strings.
"""
import hashlib
import json
import sys
import types

from glance_store._drivers import swift
from glance_store._drivers.swift import buffered, store, utils
from oslo_config import cfg

op, account, what = sys.argv[1:4]
conf = cfg.ConfigOpts()
conf.register_opts(store._SWIFT_OPTS + utils.swift_opts + buffered.BUFFERING_OPTS
                   + [cfg.StrOpt("default_store", default="swift"), cfg.ListOpt("stores", default=["swift"])],
                   group="glance_store")
conf([])


def place(uri):
    loc = store.StoreLocation({}, conf)
    loc.parse_uri(uri)
    return loc


if op == "parse":
    loc = place(what)
    print(json.dumps([loc.user, loc.key, loc.swift_url.rstrip("/"), loc.container, loc.obj, loc.get_uri()]))
    sys.exit()

auth, user, key, container = account.split(",")
for name, value in (("auth_address", auth), ("user", user), ("key", key), ("container", container), ("auth_version", "1"),
                    ("large_object_size", 1), ("large_object_chunk_size", 1), ("create_container_on_put", True)):
    conf.set_override("swift_store_" + name, value, group="glance_store")
driver = store.Store(conf)
driver.configure()
driver.configure_add()
if op == "add":
    with open(sys.argv[4], "rb") as f:
        data = f.read()
    import io
    uri = driver.add(what, io.BytesIO(data), len(data), "sha512")[0]
    print(json.dumps([uri]))
elif op == "get":
    body, size = driver.get(types.SimpleNamespace(store_location=place(what)))
    md5 = hashlib.md5()
    for chunk in body:
        md5.update(chunk)
    print(json.dumps([str(size), md5.hexdigest()]))
elif op == "delete":
    driver.delete(types.SimpleNamespace(store_location=place(what)))
    print("[]")
