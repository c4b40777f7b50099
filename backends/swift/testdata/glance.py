"""Runs Glance's own Swift driver: glance.py AUTH-URL,USER,KEY,CONTAINER|- OPERATIONS

The operations are a JSON list of [name, location or id, file]; the result is a
JSON list with a list of strings for each.
"""
import hashlib
import io
import json
import sys
import types

from glance_store._drivers import swift
from glance_store._drivers.swift import buffered, store, utils
from oslo_config import cfg

conf = cfg.ConfigOpts()
conf.register_opts(store._SWIFT_OPTS + utils.swift_opts + buffered.BUFFERING_OPTS
                   + [cfg.StrOpt("default_store", default="swift"), cfg.ListOpt("stores", default=["swift"])],
                   group="glance_store")
conf([])


def place(uri):
    loc = store.StoreLocation({}, conf)
    loc.parse_uri(uri)
    return loc


def open_driver(account):
    auth, user, key, container = account.split(",")
    for name, value in (("auth_address", auth), ("user", user), ("key", key), ("container", container), ("auth_version", "1"),
                        ("large_object_size", 1), ("large_object_chunk_size", 1), ("create_container_on_put", True)):
        conf.set_override("swift_store_" + name, value, group="glance_store")
    driver = store.Store(conf)
    driver.configure()
    driver.configure_add()
    return driver


def run(op, what, file=None):
    if op == "parse":
        loc = place(what)
        return [loc.user, loc.key, loc.swift_url.rstrip("/"), loc.container, loc.obj, loc.get_uri()]
    if op == "add":
        with open(file, "rb") as f:
            data = f.read()
        return [driver.add(what, io.BytesIO(data), len(data), "sha512")[0]]
    at = types.SimpleNamespace(store_location=place(what))
    if op == "delete":
        driver.delete(at)
        return []
    body, size = driver.get(at)
    md5 = hashlib.md5()
    for chunk in body:
        md5.update(chunk)
    return [str(size), md5.hexdigest()]


driver = None if sys.argv[1] == "-" else open_driver(sys.argv[1])
print(json.dumps([run(*op) for op in json.loads(sys.argv[2])]))
