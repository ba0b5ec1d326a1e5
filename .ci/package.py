#!/usr/bin/env python3
"""Packs what .ci/release has built: archives, OCI layouts, bill of materials, notices.

The output depends on nothing but the input: members of archives are sorted and have no owner, and every
time is SOURCE_DATE_EPOCH.
"""

import argparse
import gzip
import hashlib
import html
import io
import json
import os
import re
import subprocess
import tarfile
import uuid
from datetime import datetime, timezone
from pathlib import Path

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
CREATED = datetime.fromtimestamp(EPOCH, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

# Names in falcoctl's index. Those of the Go plugin would let falcoctl replace one by the other.
PLUGIN = "cloudtrail-rs"
RULES = "cloudtrail-rs-rules"
DESCRIPTION = "Reads AWS CloudTrail logs from files, S3 buckets and SQS queues"
RULES_DESCRIPTION = "Rules for AWS CloudTrail logs"

# Packages under the MIT license whose archives lack its text, and their copyright in their repositories.
COPYRIGHT = {"base64-simd": "2021 Nugine", "vsimd": "2021 Nugine"}

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["version", "build", "dist", "repository"]:
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    version, build, dist = arguments.version, Path(arguments.build), Path(arguments.dist)
    packages = dependencies()
    notices = third_party_notices(packages)
    (dist / "THIRD-PARTY-NOTICES.txt").write_bytes(notices)
    write_json(dist / f"cloudtrail-{version}.cdx.json", bill_of_materials(version, packages))

    libraries = {}
    for machine in MACHINES:
        release = build / f"{machine}-unknown-linux-gnu" / "release"
        library = (release / "libcloudtrail.so").read_bytes()
        archive = tar_gz({"libcloudtrail.so": (library, 0o755)})
        name = f"cloudtrail-{version}-linux-{machine}.tar.gz"
        (dist / name).write_bytes(archive)
        libraries[machine] = (name, archive)
        program = {
            "ctcat": ((release / "ctcat").read_bytes(), 0o755),
            "libcloudtrail.so": (library, 0o755),
            "LICENSE": (Path("LICENSE").read_bytes(), 0o644),
            "THIRD-PARTY-NOTICES.txt": (notices, 0o644),
        }
        program.update({path: (text, 0o644) for path, text in generated_texts(build).items()})
        (dist / f"ctcat-{version}-linux-{machine}.tar.gz").write_bytes(tar_gz(program))
    rules = Path("rules/cloudtrail_rules.yaml").read_bytes()
    rules_archive = (f"cloudtrail-rules-{version}.tar.gz", tar_gz({"cloudtrail_rules.yaml": (rules, 0o644)}))
    (dist / rules_archive[0]).write_bytes(rules_archive[1])

    tags = release_tags(version)
    plugin_layout(dist / "oci" / "plugin", version, tags, libraries)
    rules_layout(dist / "oci" / "rulesfile", version, tags, rules_archive, engine_version(rules.decode()))
    (dist / "index.yaml").write_text(falcoctl_index(arguments.repository), encoding="utf-8")


def dependencies():
    """Packages that the library or the program is compiled from, sorted by name and version."""
    targets = [f"{machine}-unknown-linux-gnu" for machine in MACHINES]
    options = ["--locked", "--offline"]
    command = ["cargo", "metadata", "--format-version", "1", *options]
    metadata = json.loads(subprocess.check_output([*command, *(f"--filter-platform={target}" for target in targets)]))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    found = set()
    # The graph of `cargo metadata` has features that only tests enable, and with them other packages.
    for target in targets:
        command = ["cargo", "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--target", target, *options]
        for line in subprocess.check_output(command, text=True).splitlines():
            name, version = line.split()[:2]
            found.add((name, version.removeprefix("v")))
    root = next(key for key, package in packages.items() if package["id"] == metadata["resolve"]["root"])
    return [packages[key] for key in sorted(found - {root})]


def third_party_notices(packages):
    """Names, licenses and license texts of all packages and of the standard library. Equal texts appear once."""
    sysroot = Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())
    rust = sysroot / "share" / "doc" / "rust"
    texts = {}
    for package in packages:
        for text in license_texts(package) or [standard_text(package, rust / "licenses")]:
            texts.setdefault(text, []).append(f"{package['name']} {package['version']}")
    lines = ["This software contains the following packages, and the standard library of Rust.", ""]
    lines += [f"{package['name']} {package['version']}: {package['license'] or 'see its license file'}" for package in packages]
    for text, users in texts.items():
        lines += ["", "=" * 80, "License of " + ", ".join(sorted(set(users))), "", text]
    library = (rust / "COPYRIGHT-library.html").read_text(encoding="utf-8")
    lines += ["", "=" * 80, "Licenses of the standard library of Rust", "", html_text(library)]
    return ("\n".join(lines) + "\n").encode()


def license_texts(package):
    """The license files in a package, also those of code that it took from elsewhere."""
    directory = Path(package["manifest_path"]).parent
    texts = []
    for path in sorted(directory.rglob("*")):
        unused = {"tests", "benches", "examples", "fuzz"}.intersection(path.relative_to(directory).parts)
        if path.is_file() and not unused and re.match(r"(?i)licen[cs]e|copying|copyright|notice|unlicense", path.name):
            texts.append(path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip())
    return texts


def standard_text(package, directory):
    """The text of the license that a package names without containing it. The directory has the toolchain's texts."""
    if "Apache-2.0" in (package["license"] or ""):
        return Path("LICENSE").read_text(encoding="utf-8").strip()
    if package["license"] != "MIT" or package["name"] not in COPYRIGHT:
        raise SystemExit(f"{package['name']} has no license file: add its copyright to COPYRIGHT in .ci/package.py")
    text = (directory / "MIT.txt").read_text(encoding="utf-8").strip()
    return text.replace("<year> <copyright holders>", COPYRIGHT[package["name"]])


def html_text(page):
    """The text of an HTML page, without its style and without more than one blank line in a row."""
    body = re.sub(r"(?s)<(title|style|script)\b.*?</\1>", "", page)
    text = html.unescape(re.sub(r"(?s)<[^>]*>", "", body))
    lines = [line.strip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def bill_of_materials(version, packages):
    checksums = dict(
        ((name, number), checksum)
        for name, number, checksum in re.findall(
            r'name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([^"]+)"', Path("Cargo.lock").read_text(encoding="utf-8")
        )
    )
    components = []
    for package in packages:
        name, number = package["name"], package["version"]
        component = {
            "type": "library",
            "bom-ref": f"pkg:cargo/{name}@{number}",
            "name": name,
            "version": number,
            "purl": f"pkg:cargo/{name}@{number}",
        }
        if (name, number) in checksums:
            component["hashes"] = [{"alg": "SHA-256", "content": checksums[name, number]}]
        if package["license"]:
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        components.append(component)
    digest = hashlib.sha256(json.dumps(components).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": CREATED,
            "component": {
                "type": "library",
                "bom-ref": f"pkg:cargo/cloudtrail@{version}",
                "name": "libcloudtrail",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
    }


def generated_texts(build):
    """Man page and completions, printed by the program of this machine."""
    machine = os.uname().machine
    program = build / f"{machine}-unknown-linux-gnu" / "release" / "ctcat"
    shells = {"bash": "ctcat.bash", "zsh": "_ctcat", "fish": "ctcat.fish"}
    texts = {"ctcat.1": subprocess.check_output([program, "man"])}
    for shell, name in shells.items():
        texts[name] = subprocess.check_output([program, "completions", shell])
    return texts


def tar_gz(files):
    """An archive with the files at its top level; `files` maps names to content and mode."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            content, mode = files[name]
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), mode, EPOCH
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), 9, mtime=0)


def release_tags(version):
    major, minor, _ = version.split("+")[0].split(".", 2)
    if "-" in version:
        return [version]
    return [version, f"{major}.{minor}", major, "latest"]


def engine_version(rules):
    """The engine version that the rules require."""
    found = re.search(r"required_engine_version: *[\"']?([0-9.]+)", rules)
    if found is None:
        raise SystemExit("rules/cloudtrail_rules.yaml has no required_engine_version")
    return found.group(1)


class Layout:
    """An OCI image layout: a directory of blobs and an index."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "blobs" / "sha256").mkdir(parents=True)
        write_json(directory / "oci-layout", {"imageLayoutVersion": "1.0.0"})

    def blob(self, media_type, content):
        """Adds a blob; returns its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.directory / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def manifest(self, kind, config, archive, annotations):
        """Adds a manifest with one layer; returns its descriptor."""
        name, content = archive
        layer = self.blob(f"application/vnd.cncf.falco.{kind}.layer.v1+tar.gz", content)
        layer["annotations"] = {"org.opencontainers.image.title": name}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(f"application/vnd.cncf.falco.{kind}.config.v1+json", to_json(config)),
            "layers": [layer],
            "annotations": annotations,
        }
        return self.blob(MANIFEST, to_json(manifest))

    def tag(self, descriptor, tags):
        """Writes the index, with `descriptor` under each of the tags."""
        manifests = [{**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        write_json(self.directory / "index.json", index)


def annotations(title, description, version):
    return {
        "org.opencontainers.image.created": CREATED,
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": version,
    }


def plugin_layout(directory, version, tags, libraries):
    layout = Layout(directory)
    config = {
        "name": PLUGIN,
        "version": version,
        "requirements": [{"name": "plugin_api_version", "version": "3.11.0"}],
    }
    notes = annotations(PLUGIN, DESCRIPTION, version)
    manifests = []
    for machine, archive in libraries.items():
        descriptor = layout.manifest("plugin", config, archive, notes)
        manifests.append({**descriptor, "platform": {"architecture": MACHINES[machine], "os": "linux"}})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": notes}
    layout.tag(layout.blob(INDEX, to_json(index)), tags)


def rules_layout(directory, version, tags, archive, engine):
    layout = Layout(directory)
    config = {
        "name": RULES,
        "version": version,
        "requirements": [{"name": "engine_version_semver", "version": engine}],
        "dependencies": [{"name": PLUGIN, "version": version}],
    }
    descriptor = layout.manifest("rulesfile", config, archive, annotations(RULES, RULES_DESCRIPTION, version))
    layout.tag(descriptor, tags)


def falcoctl_index(repository):
    registry, _, path = repository.partition("/")
    entries = []
    for name, kind, description in [(PLUGIN, "plugin", DESCRIPTION), (RULES, "rulesfile", RULES_DESCRIPTION)]:
        place = "/".join(part for part in [path, name] if part)
        entries.append(
            f"- name: {name}\n  type: {kind}\n  registry: {registry}\n  repository: {place}\n"
            f"  description: {description}\n  license: apache-2.0\n  keywords: [aws, cloudtrail, audit]\n"
        )
    return "".join(entries)


def to_json(value):
    return json.dumps(value, indent=2, sort_keys=True).encode()


def write_json(path, value):
    path.write_bytes(to_json(value) + b"\n")


if __name__ == "__main__":
    main()
