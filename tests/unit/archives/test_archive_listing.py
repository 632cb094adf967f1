from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.archives.listing import content_key, iterate_files, lies_below
from mammoshift.errors import ArchiveError


def _paths(root: Path) -> list[str]:
    return [file.path for file in iterate_files(root)]


def test_files_come_in_a_stable_order_with_sizes(tmp_path, write_file):
    write_file(tmp_path / "b" / "2.dcm", b"12")
    write_file(tmp_path / "b" / "1.dcm", b"1")
    write_file(tmp_path / "a.csv", b"123")
    assert [(f.path, f.size) for f in iterate_files(tmp_path)] == [
        ("a.csv", 3),
        ("b/1.dcm", 1),
        ("b/2.dcm", 2),
    ]


def test_what_systems_leave_behind_is_passed_over(tmp_path, write_file):
    for name in (".DS_Store", "._1.dcm", "~$book.xlsx", "Thumbs.db", ".git/HEAD", "__MACOSX/1.dcm"):
        write_file(tmp_path / name, b"x")
    write_file(tmp_path / "1.dcm", b"x")
    assert _paths(tmp_path) == ["1.dcm"]


def test_links_are_followed_but_never_in_circles(tmp_path, write_file):
    write_file(tmp_path / "elsewhere" / "1.dcm", b"x")
    root = tmp_path / "root"
    write_file(root / "sub" / "2.dcm", b"x")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "sub" / "up").symlink_to(root)
    (root / "broken").symlink_to(tmp_path / "nothing")
    assert _paths(root) == ["linked/1.dcm", "sub/2.dcm"]


def test_links_that_lead_nowhere_are_passed_over(tmp_path, write_file):
    write_file(tmp_path / "1.dcm", b"x")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "below_a_file").symlink_to("1.dcm/sub")
    assert _paths(tmp_path) == ["1.dcm"]


def test_links_between_folders_do_not_multiply_the_files(tmp_path, write_file):
    folders = [tmp_path / f"d{number}" for number in range(8)]
    for folder in folders:
        write_file(folder / "1.dcm", b"x")
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    paths = _paths(tmp_path)
    assert {f"{folder.name}/1.dcm" for folder in folders} <= set(paths)
    assert len(paths) <= 2 * len(folders)


def test_a_name_that_is_no_text_is_an_error(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.dcm")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(ArchiveError, match="not valid UTF-8; rename"):
        list(iterate_files(tmp_path))


def test_links_out_of_the_root_are_passed_over_where_they_may_not_leave(tmp_path, write_file):
    root = tmp_path / "root"
    write_file(root / "sub" / "1.dcm", b"x")
    outside = write_file(tmp_path / "elsewhere" / "2.dcm", b"x")
    (root / "file.dcm").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    (root / "within.dcm").symlink_to(root / "sub" / "1.dcm")
    inside = [file.path for file in iterate_files(root, links_may_leave=False)]
    assert inside == ["sub/1.dcm", "within.dcm"]
    assert set(_paths(root)) == {"sub/1.dcm", "within.dcm", "file.dcm", "folder/2.dcm"}
    assert lies_below(root / "within.dcm", root)
    assert not lies_below(root / "file.dcm", root)


def test_a_listing_is_fast(tmp_path):
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(250):
            (tmp_path / str(folder) / f"{number}.dcm").touch()
    start = time.process_time()
    assert sum(1 for _ in iterate_files(tmp_path)) == 5000
    seconds_per_file = (time.process_time() - start) / 5000
    assert seconds_per_file * 500_000 < 60.0


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 400_000), data=st.data())
def test_content_key_sees_every_byte(tmp_path_factory, size, data):
    path = tmp_path_factory.mktemp("key") / "file"
    content = bytearray(size)
    path.write_bytes(content)
    first = content_key(path)
    content[data.draw(st.integers(0, size - 1))] = 1
    path.write_bytes(content)
    assert content_key(path) != first


def test_content_key_ignores_name_and_times(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.write_bytes(b"same")
    os.utime(other, (1, 1))
    key = content_key(one)
    assert key == content_key(other)
    assert len(key) == 32
    assert int(key, 16) >= 0
