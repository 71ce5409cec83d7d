# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""The one table of floors, and the walls that are made of it.

A floor is a package. Its rules may use the floors in its row and no others, which is
enforced three times: when a BUILD file is loaded (check_deps), by visibility
(floor_visibility), and by //build_defs:walls_test on the real dependency graph.
"""

_GROUND = ["base", "base/sys"]

# Each floor with the floors that it may use directly, lowest floor first.
FLOORS = {
    "base": [],
    "base/sys": ["base"],
    "pagealloc": _GROUND,
    "mheap": _GROUND + ["pagealloc"],
    "mcentral": _GROUND + ["mheap"],
    "mcache": _GROUND + ["mheap", "mcentral"],
    "sweep": _GROUND + ["mheap", "mcentral"],
    "gc": _GROUND + ["mheap"],
    "runtime": _GROUND + ["pagealloc", "mheap", "mcentral", "mcache", "sweep", "gc"],
}

# Packages beside the floors, which may look into each of them.
_DOORS = ["bench", "examples", "fuzz", "tests"]

# The parts of Abseil that a floor may use, where that is not all of it.
ABSEIL_PARTS = {"base": ["absl/base", "absl/numeric"]}

ABSEIL = "@com_google_absl//"

def _inside(package, folder):
    return package == folder or package.startswith(folder + "/")

def floor_of(package):
    """The floor that a package of this repository belongs to, or None."""
    nearest = None
    for floor in FLOORS:
        if _inside(package, floor) and (not nearest or len(floor) > len(nearest)):
            nearest = floor
    return nearest

def floors_below(floor):
    """Every floor that is reached from a floor, directly or by way of others."""
    reached = {}
    for other in reversed(list(FLOORS)):
        if other in FLOORS[floor] or [f for f in reached if other in FLOORS[f]]:
            reached[other] = None
    return list(reached)

def _external_violation(floor, dep):
    if not dep.startswith(ABSEIL):
        return "only Abseil is used from outside"
    parts = ABSEIL_PARTS.get(floor)
    package = dep[len(ABSEIL):].partition(":")[0]
    if parts and not [part for part in parts if _inside(package, part)]:
        return "of Abseil it uses only " + ", ".join(parts)
    return None

def violation(package, dep, test = False):
    """Says why a rule in a package may not have a dependency, or returns None.

    A test may also use what lies further down, where visibility lets it see only
    the test-only targets, and libraries for testing from outside.
    """
    floor = floor_of(package)
    if not floor or not (dep.startswith("//") or dep.startswith("@")):
        return None
    if dep.startswith("@"):
        reason = None if test else _external_violation(floor, dep)
    else:
        target = floor_of(dep[2:].partition(":")[0])
        may_use = floors_below(floor) if test else FLOORS[floor]
        if target == floor or target in may_use:
            return None
        reason = "it may use " + (", ".join(may_use) or "no other floor")
    return reason and "floor '%s' may not depend on '%s': %s; see build_defs/floors.bzl" % (
        floor,
        dep,
        reason,
    )

def check_deps(name, deps, test = False):
    """Fails if a rule of the package that is being loaded breaks through a wall."""
    if type(deps) != "list":
        return  # A select cannot be looked into here. Visibility and walls_test see it.
    for dep in deps:
        reason = violation(native.package_name(), str(dep), test)
        if reason:
            fail("//%s:%s: %s" % (native.package_name(), name, reason))

def _group(floor, kind):
    return "%s_%s" % (floor.replace("/", "_"), kind)

def floor_visibility(name, testonly = False):
    """Who sees a target of the package that is being loaded.

    The rooms of a floor are seen by the floors that may use it and by the packages
    beside the floors. The floor's public target is also seen by other workspaces;
    what is for tests only, by the tests of all floors above.
    """
    package = native.package_name()
    floor = floor_of(package)
    if not floor:
        return ["//build_defs:doors"]
    if testonly:
        return ["//build_defs:" + _group(floor, "tests_above")]
    public = package == floor and name == floor.rpartition("/")[2]
    return ["//build_defs:" + _group(floor, "users" if public else "rooms")]

def _packages(floor):
    """A floor's packages, without those of a floor that lies in a folder of it."""
    nested = [other for other in FLOORS if other != floor and _inside(other, floor)]
    return "//" + floor if nested else "//%s/..." % floor

def floor_groups():
    """Declares the package groups that floor_visibility names."""

    # Before Bazel 6, "//..." meant every repository and "public" nothing; since then it
    # means this repository. (What distinguishes the two here came with Bazel 6 as well.)
    everywhere = "public" if hasattr(native, "module_name") else "//..."
    doors = ["//%s/..." % door for door in _DOORS]
    native.package_group(name = "doors", packages = doors)
    for floor in FLOORS:
        users = [other for other in FLOORS if other == floor or floor in FLOORS[other]]
        above = [other for other in FLOORS if other == floor or floor in floors_below(other)]
        others = [other for other in FLOORS if other not in users]
        native.package_group(
            name = _group(floor, "rooms"),
            packages = [_packages(user) for user in users] + doors,
        )
        native.package_group(
            name = _group(floor, "tests_above"),
            packages = [_packages(other) for other in above] + doors,
        )
        native.package_group(
            name = _group(floor, "users"),
            packages = [everywhere] + ["-" + _packages(other) for other in others],
        )

def _walls_impl(ctx):
    ctx.actions.write(ctx.outputs.table, "".join([
        "%s %s\n" % (floor, " ".join(FLOORS[floor]))
        for floor in FLOORS
    ]))
    verdicts = []
    for case in ctx.attr.cases:
        package, dep, kind = (case.split(" ") + ["library"])[:3]
        reason = violation(package, dep, kind == "test")
        verdicts.append("%s: %s\n" % (case, reason or "allowed"))
    ctx.actions.write(ctx.outputs.verdicts, "".join(verdicts))
    return [DefaultInfo(files = depset([ctx.outputs.table, ctx.outputs.verdicts]))]

# Writes the table, and what `violation` says of some cases, for walls_test.
walls = rule(
    implementation = _walls_impl,
    attrs = {
        "cases": attr.string_list(doc = "each 'package dep' or 'package dep test'"),
        "table": attr.output(),
        "verdicts": attr.output(),
    },
)
