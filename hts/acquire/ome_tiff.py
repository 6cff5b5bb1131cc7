"""OME-TIFF: plates in one file, in sets of files, and beside a ``*.companion.ome``; and other multi-page TIFF files.

The OME-XML of a file says which plane is which page of which file (``TiffData``), and where it has a ``Plate`` which
image is which field of which well. Without one the well is that of the image's name, else of the file's
(``B03_s1.ome.tif``).
Multi-page TIFF files of ImageJ are placed by their names; their pages are channels, z planes and time points in that
order. A field is a well sample by its place among those of its well. Stage positions are taken where the XML gives them
in a unit of length; OME does not say which way y grows, so they are kept as they are.

Facts of the format: the OME data model 2016-06 and the OME-TIFF specification (TiffData, UUID, BinaryOnly).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hts.acquire import tiff
from hts.acquire.build import absent
from hts.acquire.containers import Container, Contents, Gathered, Inside, assemble, describe_all, stem_of
from hts.acquire.listing import ImageFile, Listing
from hts.acquire.metadata import parse_xml, positive, read_xml
from hts.acquire.names import read_name
from hts.acquire.ome import OmePlane, read_ome
from hts.acquire.planes import read_header
from hts.acquire.table import Acquisition, Source
from hts.errors import SourceError
from hts.locations import Location, relative_name
from hts.model import Channel, PixelSize, WellId

COMPANION = ".companion.ome"
_OME_SUFFIXES = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.tf8", ".ome.btf")
_TIFF_SUFFIXES = (".tif", ".tiff")
_MAX_PLANES = 10_000_000


class OmeTiffReader:
    """Reads folders of multi-page TIFF files, or one of them, or one companion file."""

    name = "ome-tiff"
    looks_inside = True

    def sniff(self, listing: Listing) -> float:
        """1 beside a companion file, else the fraction of images that are named OME-TIFF or have a well and pages."""
        if _companions(listing):
            return 1.0
        named = [image for image in listing.with_suffix(*_TIFF_SUFFIXES) if _is_ome(image)]
        others = [image for image in listing.with_suffix(*_TIFF_SUFFIXES) if not _is_ome(image)]
        placed = [image for image in others if read_name(stem_of(image.name)).well is not None]
        counted = len(named) + (len(placed) if _has_pages(placed) else 0)
        return counted / len(listing.images) if listing.images else 0.0

    def read(self, listing: Listing) -> Source:
        """The plate; SourceError when no file can be read, or neither XML nor names say a well."""
        return self._read(listing, None)

    def read_forced(self, listing: Listing) -> Source:
        """As :meth:`read`; a lone file without a well becomes a plate of the well A01."""
        return self._read(listing, WellId(0, 0))

    def _read(self, listing: Listing, forced: WellId | None) -> Source:
        known, broken = _described_by_companions(listing)
        names = listing.images_by_name
        images = () if listing.chosen in known else listing.with_suffix(*_TIFF_SUFFIXES)
        found = {ImageFile(path, relative_name(path, listing.root)): content for path, content in known.items()}
        contents, unread, more = describe_all(images, partial(describe, names=names, root=listing.root), found)
        if not contents:
            reasons = "; ".join([*unread.values(), *broken][:3]) or ", ".join(listing.examples) or "no image"
            raise SourceError(f"multi-page TIFF files or a companion file in {listing.root}", found=reasons)
        _require_files(listing, contents)
        how = Container(self.name, describe_alone, forced, tuple(known), _is_complete(contents, unread))
        return assemble(listing, contents, Gathered(unread, (*broken, *more)), how)


def describe_alone(path: Location) -> Contents:
    """What a file says, which should name no others."""
    return describe(path, {}, path.parent)


def describe(path: Location, names: Mapping[str, ImageFile], root: Location) -> Contents:
    """What a TIFF file says of its planes and those of its set.

    Raises
    ------
    SourceError
        when it cannot be read, is not grey, or does not say what its pages are.
    """
    text = tiff.description(path).lstrip("\ufeff \t\r\n")
    if text.startswith("<") and "OME" in text[:2000]:
        return _of_ome(path, text, _Files(names, relative_name(path, root)))
    facts = read_header(path, 0)
    if text.startswith("ImageJ="):
        return _of_imagej(text, facts.image.pixel_size)
    if tiff.is_multipage(path):
        raise SourceError(f"{path}: has several pages, and no OME-XML or ImageJ text that says what they are")
    return Contents((Inside(0, 0),), (Channel(""),), facts.image.pixel_size)


class _Files:
    """Files that an XML in ``owner`` names, beside it; one outside the folder is never opened."""

    def __init__(self, names: Mapping[str, ImageFile], owner: str) -> None:
        self._names, self._owner = names, owner
        self._folder = owner.rpartition("/")[0]

    def find(self, name: str) -> ImageFile | None:
        """The file of a name, None for the owner itself."""
        slashed = name.replace("\\", "/")
        parts = slashed.split("/")
        if slashed.startswith("/") or ".." in parts or ":" in parts[0]:
            return absent(name, f"{self._owner} names a file outside its folder, which is not opened")
        full = f"{self._folder}/{slashed}" if self._folder else slashed
        if full == self._owner:
            return None
        return self._names.get(full) or absent(full, f"{self._owner} names it, there is no such file")


def _of_ome(path: Location, text: str, files: _Files) -> Contents:
    try:
        found = read_ome(parse_xml(text))
    except SourceError as error:
        raise SourceError(f"{path}: its description {error}") from error
    if found.only_in:
        raise SourceError(f"{path}: its planes are described in {found.only_in}, which is not there or names it not")
    return found.contents(lambda plane: _file_of(plane, files, found.uuid))


def _named_file(files: _Files, plane: OmePlane) -> ImageFile | None:
    return files.find(plane.file)


def _file_of(plane: OmePlane, files: _Files, own_uuid: str) -> ImageFile | None:
    """A file that was renamed is still itself: its identifier says so."""
    return None if not plane.file or (own_uuid and plane.uuid == own_uuid) else files.find(plane.file)


def _of_imagej(text: str, pixel_size: PixelSize | None) -> Contents:
    """Pages of an ImageJ stack: channels fastest, then z, then time."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    n_images, n_c, n_z, n_t = (
        int(positive(values.get(key)) or 1) for key in ("images", "channels", "slices", "frames")
    )
    if n_c * n_z * n_t != n_images and n_c * n_z * n_t == 1:
        n_z = n_images
    if n_c * n_z * n_t != n_images or n_images > _MAX_PLANES:
        raise SourceError(f"an ImageJ stack: its {n_images} images are not {n_c} channels × {n_z} z × {n_t} times")
    planes = tuple(Inside((t * n_z + z) * n_c + c, c, z, t) for t in range(n_t) for z in range(n_z) for c in range(n_c))
    step_s = positive(values.get("finterval"))
    spacing_um = positive(values.get("spacing"))
    if pixel_size is not None and n_z > 1 and values.get("unit") in ("micron", "um", "µm", "\\u00B5m"):
        pixel_size = PixelSize(pixel_size.y_um, pixel_size.x_um, spacing_um)
    return Contents(planes, tuple(Channel("") for _ in range(n_c)), pixel_size, Acquisition(time_step_s=step_s))


def _companions(listing: Listing) -> list[Location]:
    if listing.chosen is not None:
        return [listing.chosen] if listing.chosen.name.lower().endswith(COMPANION) else []
    return [path for path in listing.files if path.name.lower().endswith(COMPANION)]


def _described_by_companions(listing: Listing) -> tuple[dict[Location, Contents], list[str]]:
    known: dict[Location, Contents] = {}
    broken: list[str] = []
    for path in _companions(listing):
        files = _Files(listing.images_by_name, relative_name(path, listing.root))
        try:
            known[path] = read_ome(read_xml(path)).contents(partial(_named_file, files))
        except SourceError as error:
            broken.append(f"{path.name} cannot be used: {str(error).removeprefix(f'{path}: ')}")
    return known, broken


def _require_files(listing: Listing, contents: Mapping[ImageFile, Contents]) -> None:
    """Raise where XML files name images and not one of them is there."""
    files = [one.file for content in contents.values() for one in content.planes]
    if not files or any(file is None or file.path != absent("", "").path for file in files):
        return
    names = sorted({file.name for file in files if file is not None})
    raise SourceError(
        f"the TIFF files that {next(iter(contents)).name} names in {listing.root}",
        found=f"none of {len(names)}, such as {', '.join(names[:3])}",
        cause="the companion file was copied without its images",
        fix="copy the images beside it",
    )


def _is_ome(image: ImageFile) -> bool:
    return image.name.lower().endswith(_OME_SUFFIXES)


def _has_pages(images: list[ImageFile]) -> bool:
    """Whether the first of the files that can be read has several pages."""
    for image in [image for image in images if not image.problem][:3]:
        try:
            return tiff.is_multipage(image.path)
        except SourceError:
            continue
    return False


def _is_complete(contents: Mapping[ImageFile, Contents], unread: Mapping[ImageFile, str]) -> bool:
    """Whether one XML lists the planes of the whole plate."""
    return len(contents) == 1 and not unread
