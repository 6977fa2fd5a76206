"""Archives: damaged, hostile, or planted where the right one is looked for."""

import collections
import concurrent.futures
import io
import os
import stat
import tarfile
import tempfile
import tracemalloc

import numpy as np
import pytest

from keras_asgld.models import private_folder
from keras_asgld.models.module_archive import unpacked
from tests.support import faults

FILES = {
    "saved_model.pb": b"model" * 300,
    "variables/variables.index": b"index" * 10,
    "variables/variables.data": np.random.RandomState(0).bytes(5000),
    "assets/empty": b"",
}
MEGABYTE = 2**20


def pack(path, files=None, mode="w:gz", extra=()):
    """An archive of files, a dict of contents, and further `TarInfo`s."""
    with tarfile.open(path, mode) as archive:
        for name, content in (FILES if files is None else files).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return path


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_every_form_of_archive_is_unpacked(cache, tmp_path, compression):
    folder = unpacked(pack(tmp_path / "archive", mode=f"w:{compression}"), MEGABYTE)
    assert tree(folder) == FILES
    assert folder.parent == cache


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_damage_is_named_or_changes_nothing(cache, tmp_path, compression):
    path = tmp_path / "archive"
    whole = pack(path, mode=f"w:{compression}").read_bytes()
    outcomes = collections.Counter()
    for seed in range(170):
        path.write_bytes(faults.damaged(whole, seed))
        try:
            assert tree(unpacked(path, MEGABYTE)) == FILES
            outcomes["equal"] += 1
        except ValueError as error:
            assert "`handle` must be" in str(error) and str(path) in str(error)
            assert "\n" not in str(error)
            outcomes["error"] += 1
    assert outcomes["error"] > 140
    assert len(list(cache.iterdir())) == outcomes["equal"]


def test_an_archive_without_checksums_is_held_to_its_headers(cache, tmp_path):
    path = tmp_path / "archive"
    whole = pack(path, mode="w").read_bytes()
    with tarfile.open(path) as archive:
        starts = [member.offset for member in archive]
    for start in starts[1:]:
        for content in (
            whole[:start],  # cut where a file ends
            whole[: start + 300],
            whole[:start] + b"x" + whole[start + 1 :],  # the header's sum is wrong
        ):
            path.write_bytes(content)
            with pytest.raises(ValueError, match="`handle` must be .*sound tar archiv"):
                unpacked(path, MEGABYTE)
    assert list(cache.iterdir()) == []


def link(kind, target):
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        link(tarfile.SYMTYPE, "saved_model.pb"),
        link(tarfile.SYMTYPE, "/etc"),
        link(tarfile.LNKTYPE, "saved_model.pb"),
        link(tarfile.FIFOTYPE, ""),
        link(tarfile.CHRTYPE, ""),
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("a/../../outside"),
        tarfile.TarInfo("/outside"),
    ],
    ids=lambda member: f"{member.type.decode()}-{member.name}-{member.linkname}",
)
def test_what_is_neither_file_nor_folder_within_is_refused(cache, tmp_path, member):
    path = pack(tmp_path / "archive", extra=[member])
    with pytest.raises(ValueError, match="is a link or leads out of the archive"):
        unpacked(path, MEGABYTE)
    assert list(cache.iterdir()) == []


def sparse():
    """A file of a terabyte in which nothing is stored."""
    member = tarfile.TarInfo("sparse")
    member.pax_headers = {
        "GNU.sparse.size": str(2**40),
        "GNU.sparse.numblocks": "1",
        "GNU.sparse.map": "0,0",
    }
    return member


BOMBS = {
    "one large file": {"files": {"zeros": bytes(2 * MEGABYTE)}},
    "many small files": {"files": {str(i): b"" for i in range(300)}},
    "many folders": {"files": {f"{'f/' * 99}{i}": b"" for i in range(4)}},
    "a sparse file": {"extra": [sparse()]},
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_takes_more_than_the_limit_is_refused(cache, tmp_path, name):
    path = pack(tmp_path / "archive", **{"files": {}, **BOMBS[name]})
    assert path.stat().st_size < 10_000
    with pytest.raises(ValueError, match="at most `max_unpacked_bytes`, 1,048,576,"):
        unpacked(path, MEGABYTE)
    assert list(cache.iterdir()) == []


def test_the_limit_is_counted_in_blocks_of_the_disk(cache, tmp_path):
    path = pack(tmp_path / "archive", {"a": bytes(5000), "b": bytes(5000)})
    with pytest.raises(ValueError, match="max_unpacked_bytes"):
        unpacked(path, 10_000 + 2 * 4096 - 1)
    assert len(tree(unpacked(path, 10_000 + 2 * 4096))) == 2


def test_what_follows_the_end_counts_too(cache, tmp_path):
    path = pack(tmp_path / "archive", mode="w")
    path.write_bytes(path.read_bytes() + bytes(3 * MEGABYTE))
    with pytest.raises(ValueError, match="max_unpacked_bytes"):
        unpacked(path, MEGABYTE)


def test_a_header_of_many_megabytes_is_not_read(cache, tmp_path):
    member = tarfile.TarInfo("name")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 64 * MEGABYTE
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.fileobj.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            archive.fileobj.write(bytes(MEGABYTE))
    tracemalloc.start()
    with pytest.raises(ValueError, match="a header of 67,108,864"):
        unpacked(tmp_path / "archive", 1024 * MEGABYTE)
    assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["q" * 5000, "d/" * 3000 + "file"])
def test_a_name_too_long_for_the_disk_is_one_short_line(cache, tmp_path, name):
    path = pack(tmp_path / "archive", {name: b""})
    with pytest.raises(ValueError, match="`handle` cannot be unpacked") as caught:
        unpacked(path, 1024 * MEGABYTE)
    line = str(caught.value)
    assert "File name too long" in line and len(line) < 600 and "\n" not in line
    assert list(cache.iterdir()) == []


def replace_file(folder):
    (folder / "saved_model.pb").write_bytes(b"planted" * 200)


def change_byte(folder):
    path = folder / "variables/variables.data"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def lengthen(folder):
    with open(folder / "assets/empty", "ab") as file:
        file.write(b"x")


def delete(folder):
    (folder / "variables/variables.index").unlink()


def add(folder):
    (folder / "assets/planted").write_bytes(b"")


def link_file(folder):
    path = folder / "saved_model.pb"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def link_folder(folder):
    path = folder / "variables"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    "tamper",
    [replace_file, change_byte, lengthen, delete, add, link_file, link_folder],
)
def test_other_content_in_the_cache_is_not_used(cache, tmp_path, tamper):
    path = pack(tmp_path / "archive")
    folder = unpacked(path, MEGABYTE)
    before = folder.stat().st_ino
    assert unpacked(path, MEGABYTE).stat().st_ino == before
    tamper(folder)
    again = unpacked(path, MEGABYTE)
    assert again == folder and tree(again) == FILES
    assert not any(each.is_symlink() for each in again.rglob("*"))


def assert_for_this_process_alone(folder, temporary):
    assert tree(folder) == FILES
    assert folder.parent == temporary
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("planted", ["link", "writable", "foreign"])
def test_a_folder_that_others_can_write_is_not_used(
    cache, temporary, tmp_path, monkeypatch, planted
):
    path = pack(tmp_path / "archive")
    folder = unpacked(path, MEGABYTE)
    if planted == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif planted == "writable":
        folder.chmod(0o777)
    else:
        is_private = private_folder.is_private
        monkeypatch.setattr(
            private_folder, "is_private", lambda p: p != folder and is_private(p)
        )
    assert_for_this_process_alone(unpacked(path, MEGABYTE), temporary)


@pytest.mark.parametrize(
    "modes, used",
    [
        ((0o755, 0o700), True),
        ((0o755, 0o755), True),
        ((0o1777, 0o700), True),  # as in /tmp
        ((0o755, 0o770), False),
        ((0o755, 0o1777), False),
        ((0o777, 0o700), False),
        ((0o775, 0o700), False),
    ],
)
def test_a_cache_is_used_if_nobody_else_can_change_it(
    temporary, tmp_path, monkeypatch, modes, used
):
    cache = tmp_path / "above" / "cache"
    cache.mkdir(parents=True)
    for folder, mode in zip((cache.parent, cache), modes, strict=True):
        folder.chmod(mode)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
    folder = unpacked(pack(tmp_path / "archive"), MEGABYTE)
    assert tree(folder) == FILES
    assert folder.parent == (cache if used else temporary)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no such owners")
def test_the_cache_of_another_user_is_not_used(cache, temporary, tmp_path, monkeypatch):
    path = pack(tmp_path / "archive")
    unpacked(path, MEGABYTE)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    folder = unpacked(path, MEGABYTE)
    monkeypatch.undo()
    assert folder.parent == temporary and tree(folder) == FILES


def test_without_a_place_named_it_is_the_users_own(temporary, tmp_path, monkeypatch):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    before = os.umask(0)
    try:
        folder = unpacked(pack(tmp_path / "archive"), MEGABYTE)
    finally:
        os.umask(before)
    assert tree(folder) == FILES
    assert folder.parent == temporary / f"keras_asgld-{os.getuid()}"
    for each in (folder, folder.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    # Somebody else may have taken the name.
    folder.parent.chmod(0o777)
    folder = unpacked(pack(tmp_path / "archive"), MEGABYTE)
    assert_for_this_process_alone(folder, temporary)


@pytest.mark.parametrize("mask", [0o077, 0o777 - 0o700, 0o002])
def test_a_mask_of_permissions_changes_nothing(cache, tmp_path, mask):
    before = os.umask(mask)
    try:
        folder = unpacked(pack(tmp_path / "archive"), MEGABYTE)
        assert tree(folder) == FILES and folder.parent == cache
    finally:
        os.umask(before)


def test_a_full_disk_is_named_and_leaves_nothing(cache, tmp_path):
    path = pack(tmp_path / "archive")
    for limit in range(0, 5000, 499):
        refused = pytest.raises(ValueError, match=r"cannot be unpacked \(.*too large")
        with faults.largest_file(limit), refused:
            unpacked(path, MEGABYTE)
        assert list(cache.iterdir()) == []
    assert tree(unpacked(path, MEGABYTE)) == FILES


def test_a_cache_that_may_only_be_read_is_done_without(cache, temporary, tmp_path):
    path = pack(tmp_path / "archive")
    cache.mkdir(mode=0o700)
    with faults.read_only(cache):
        folder = unpacked(path, MEGABYTE)
        assert tree(folder) == FILES and folder.parent == temporary


def test_an_archive_that_cannot_be_read_is_named(cache, tmp_path):
    (tmp_path / "archive").symlink_to(tmp_path / "archive")
    with pytest.raises(ValueError, match=r"`handle` cannot be unpacked .*handle='"):
        unpacked(tmp_path / "archive", MEGABYTE)


def test_many_at_once_find_one_whole_folder(cache, tmp_path):
    path = pack(tmp_path / "archive")

    def found(_):
        folder = unpacked(path, MEGABYTE)
        return folder, folder.stat().st_ino  # what one has found is never replaced

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ((folder, _),) = set(pool.map(found, range(40)))
    assert folder.parent == cache and tree(folder) == FILES
    assert len(list(cache.iterdir())) == 1


def test_tensorflow_hub_is_not_left_to_the_folder_that_all_share(
    temporary, monkeypatch
):
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    with private_folder.instead_of_the_shared_one():
        place = os.environ["TFHUB_CACHE_DIR"]
    assert place == str(temporary / f"keras_asgld-{os.getuid()}")
    assert "TFHUB_CACHE_DIR" not in os.environ
    (temporary / f"keras_asgld-{os.getuid()}").chmod(0o777)
    with private_folder.instead_of_the_shared_one():
        place = os.environ["TFHUB_CACHE_DIR"]
    assert os.path.dirname(place) == str(temporary)
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
    monkeypatch.setenv("TFHUB_CACHE_DIR", "/a/place")
    with private_folder.instead_of_the_shared_one():
        assert os.environ["TFHUB_CACHE_DIR"] == "/a/place"
