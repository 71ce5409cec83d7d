# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the machine's compilers and makes toolchains of them.

The repository has two toolchains: `default`, of the compiler that CC names or else of
the newest clang or else of gcc; and `gcc`, for --config=gcc.
"""

_CLANGS = ["clang-%d" % version for version in [19, 22, 21, 20, 18, 17, 16, 15]] + ["clang"]
_GCCS = ["gcc", "gcc-15", "gcc-14", "gcc-13", "gcc-12"]

def _first(repository_ctx, names):
    for name in names:
        path = repository_ctx.which(name) if not name.startswith("/") else name
        if path:
            return str(path)
    return None

def _run(repository_ctx, command):
    result = repository_ctx.execute(command, environment = {"LC_ALL": "C"})
    if result.return_code:
        fail("%s failed:\n%s" % (" ".join(command), result.stderr))
    return result

def _builtin_include_directories(repository_ctx, compiler, is_clang):
    # As the builds themselves ask: the answer depends on -no-canonical-prefixes.
    command = [compiler, "-no-canonical-prefixes"]
    if is_clang:
        # OSS-Fuzz's choice of the C++ library comes with its flags.
        flags = repository_ctx.os.environ.get("CXXFLAGS", "").split(" ")
        command += [flag for flag in flags if flag.startswith("-stdlib=")]
    result = _run(repository_ctx, command + ["-E", "-xc++", "/dev/null", "-v"])
    listing = result.stderr.partition("#include <...> search starts here:")[2]
    listing = listing.partition("End of search list.")[0]
    directories = [line.strip() for line in listing.splitlines() if line.strip()]
    if is_clang:
        # The sanitizers' lists of functions to ignore lie beside the headers.
        resources = _run(repository_ctx, command + ["-print-resource-dir"]).stdout.strip()
        directories += [resources + "/include", resources + "/share"]

    # Without "..", and as they are and as links lead.
    paths = [repository_ctx.path(directory) for directory in directories]
    paths = [path for path in paths if path.exists]
    return {str(p): None for p in paths + [path.realpath for path in paths]}.keys()

def _tool(repository_ctx, name, llvm_suffix):
    """The path of binutils' NAME, or of LLVM's version of it if there is a suffix."""
    names = ["llvm-" + name + llvm_suffix, name] if llvm_suffix else [name]
    return _first(repository_ctx, names) or "/usr/bin/" + name

def _tools(repository_ctx, compiler, llvm_suffix):
    tools = {
        name: _tool(repository_ctx, name, llvm_suffix)
        for name in ["ar", "dwp", "nm", "objcopy", "objdump", "strip"]
    }
    tools.update({name: _tool(repository_ctx, name, "") for name in ["gcov", "ld"]})
    tools.update({name: compiler for name in ["cpp", "gcc"]})
    return tools

_TOOLCHAIN = """
cc_toolchain_config(
    name = "{name}_config",
    builtin_include_directories = {directories},
    compiler = "{compiler}",
    cpu = "{cpu}",
    lld = {lld},
    tools = {tools},
)

cc_toolchain(
    name = "{name}_cc",
    all_files = ":empty",
    compiler_files = ":{name}_compiler_files",
    dwp_files = ":empty",
    linker_files = ":empty",
    module_map = {module_map},
    objcopy_files = ":empty",
    strip_files = ":empty",
    supports_param_files = True,
    toolchain_config = ":{name}_config",
    toolchain_identifier = "tricolor_{compiler}",
)

filegroup(
    name = "{name}_compiler_files",
    srcs = {compiler_files},
)

toolchain(
    name = "{name}",
    exec_compatible_with = ["@platforms//os:linux", "@platforms//cpu:{constraint}"],
    target_compatible_with = ["@platforms//os:linux", "@platforms//cpu:{constraint}"],
    toolchain = ":{name}_cc",
    toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
)
"""

def _module_map(repository_ctx, directories):
    """Lists the system's headers, which layering_check lets everybody include."""
    command = ["find", "-L"] + directories + ["-type", "f", "("]
    for pattern in ["*.h", "*.hpp", "*.tcc", "*.inc", "*.def"]:
        command += ["-name", pattern, "-o"]
    listing = _run(repository_ctx, command + ["-not", "-name", "*.*", ")"])
    headers = {path: None for path in listing.stdout.splitlines()}.keys()
    return "module \"crosstool\" [system] {\n" + "".join([
        "  textual header \"%s\"\n" % path
        for path in headers
    ]) + "}\n"

def _toolchain(repository_ctx, name, compiler):
    version = _run(repository_ctx, [compiler, "--version"]).stdout
    is_clang = "clang" in version.splitlines()[0]
    basename = compiler.rpartition("/")[2]
    suffix = "-" + basename.partition("-")[2] if is_clang and "-" in basename else ""
    directories = _builtin_include_directories(repository_ctx, compiler, is_clang)
    arch = _run(repository_ctx, ["uname", "-m"]).stdout.strip()
    if is_clang:
        repository_ctx.file(name + ".modulemap", _module_map(repository_ctx, directories))
    return _TOOLCHAIN.format(
        name = name,
        compiler = "clang" if is_clang else "gcc",
        compiler_files = repr([name + ".modulemap"] if is_clang else []),
        constraint = arch,
        cpu = "k8" if arch == "x86_64" else arch,
        directories = repr(directories),
        lld = repr((_first(repository_ctx, ["ld.lld" + suffix]) if is_clang else None) or ""),
        module_map = repr(name + ".modulemap" if is_clang else None),
        tools = repr(_tools(repository_ctx, compiler, suffix)),
    )

_TOOL_CONSTRAINT = """
constraint_setting(
    name = "{tool}"{default},
)

constraint_value(
    name = "{tool}_is_installed",
    constraint_setting = ":{tool}",
)
"""

def _tool_constraint(repository_ctx, tool):
    """What a target is compatible with that runs TOOL: this machine, or nothing."""
    default = ",\n    default_constraint_value = \":%s_is_installed\"" % tool
    return _TOOL_CONSTRAINT.format(
        default = default if repository_ctx.which(tool) else "",
        tool = tool,
    )

def _impl(repository_ctx):
    cc = repository_ctx.os.environ.get("CC")
    default = _first(repository_ctx, [cc] if cc else _CLANGS + _GCCS)
    if not default:
        fail("no C++ compiler: %s" % (cc or "neither clang nor gcc is on the PATH"))
    config = str(Label("//toolchains:cc_toolchain_config.bzl"))
    build = [
        "load(\"%s\", \"cc_toolchain_config\")" % ("@" + config if config.startswith("//") else config),
        "package(default_visibility = [\"//visibility:public\"])",
        "filegroup(name = \"empty\")",
        _toolchain(repository_ctx, "default", default),
    ]
    build.append(_tool_constraint(repository_ctx, "spin"))
    gcc = _first(repository_ctx, _GCCS)
    if gcc:
        build.append(_toolchain(repository_ctx, "gcc", gcc))
    repository_ctx.file("BUILD", "\n".join(build))

tricolor_cc_repository = repository_rule(
    implementation = _impl,
    configure = True,
    environ = ["CC", "CXXFLAGS", "PATH"],
    local = True,
)

def tricolor_toolchains():
    """For WORKSPACE files."""
    tricolor_cc_repository(name = "tricolor_cc")
    native.register_toolchains("@tricolor_cc//:default")
