from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammoshift.archives.listing import change_key, content_key, iterate_files, listing_digest
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


def test_digest_follows_names_and_sizes_not_times(tmp_path, write_file):
    assert listing_digest(tmp_path / "nothing") == "absent"
    file = write_file(tmp_path / "a" / "1.dcm", b"12")
    first = listing_digest(tmp_path)
    os.utime(file, (1, 1))
    assert listing_digest(tmp_path) == first
    file.write_bytes(b"123")
    assert listing_digest(tmp_path) != first
    file.write_bytes(b"12")
    assert listing_digest(tmp_path) == first
    file.rename(tmp_path / "a" / "2.dcm")
    assert listing_digest(tmp_path) != first


def test_a_listing_is_fast(tmp_path):
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(250):
            (tmp_path / str(folder) / f"{number}.dcm").touch()
    start = time.process_time()
    listing_digest(tmp_path)
    seconds_per_file = (time.process_time() - start) / 5000
    assert seconds_per_file * 500_000 < 60.0


@settings(max_examples=25, deadline=None)
@given(size=st.sampled_from([0, 1, 1000, 200_000, 300_000]), data=st.data())
def test_content_key_sees_a_changed_size(tmp_path_factory, size, data):
    path = tmp_path_factory.mktemp("key") / "file"
    path.write_bytes(bytes(size))
    first = content_key(path)
    path.write_bytes(bytes(size + data.draw(st.integers(1, 1000))))
    assert content_key(path) != first


@pytest.mark.parametrize("offset", [0, 65_535, 500_000, 934_464, 999_999])
def test_content_key_sees_a_change_in_each_block(tmp_path, offset):
    content = bytearray(1_000_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    first = content_key(path)
    content[offset] = 1
    path.write_bytes(content)
    assert content_key(path) != first


def test_content_key_ignores_name_and_times(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.write_bytes(b"same")
    os.utime(other, (1, 1))
    key = content_key(one)
    assert key == content_key(other)
    assert len(key) == 24
    assert int(key, 16) >= 0


@pytest.mark.parametrize("name", ["labels.csv", "LABELS.XLSX", "Info.txt"])
def test_change_key_sees_every_cell_of_a_table(tmp_path, name):
    content = bytearray(b"1,2\n" * 250_000)
    path = tmp_path / name
    path.write_bytes(content)
    first = change_key(path)
    content[150_000] = ord("9")
    path.write_bytes(content)
    assert change_key(path) != first


def test_change_key_of_an_image_is_its_content_key(tmp_path):
    path = tmp_path / "1.dcm"
    path.write_bytes(bytes(300_000))
    assert change_key(path) == content_key(path)
