"""An Olympus ScanR's folder: ``data/B2--W00014--P00001--Z00000--T00000--DAPI.tif``, ``data/metadata.ome.xml`` beside
the images and ``experiment_descriptor.xml`` above them.

The OME-XML follows a real one (scanR 3.3). The descriptor is a LabVIEW tree of which only the entries that public
readers use are written. The 32,768 that real files carry is left out: pixels are those that were asked for.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import tifffile

from hts.model import FieldKey
from hts.synth.scan import START, Pixels, PlateScan, Shot

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
_OME = 'Creator="hts synth, as scanR 3.3" xmlns="http://www.openmicroscopy.org/Schemas/OME/2013-06"'
_FOCUS_UM = 6275.0


def write(folder: Path, scan: PlateScan, pixels: Pixels) -> dict[Shot, Path]:
    """Write the plate; fields that are lost are listed in the OME-XML all the same."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    files = {}
    for shot in scan.shots():
        path = data / _file_name(scan, shot)
        tifffile.imwrite(path, pixels(shot), photometric="minisblack", software="National Instruments IMAQ")
        files[shot] = path
    (data / "metadata.ome.xml").write_text(_ome(scan), "utf-8")
    (folder / "experiment_descriptor.xml").write_text(_descriptor(scan), "latin-1", "xmlcharrefreplace")
    return files


def _number(scan: PlateScan, key: FieldKey) -> int:
    return key.well.row * scan.layout.columns + key.well.column + 1


def _label(key: FieldKey) -> str:
    return f"{key.well.row_name}{key.well.column + 1}"


def _file_name(scan: PlateScan, shot: Shot) -> str:
    place = f"W{_number(scan, shot.key):05d}--P{shot.field:05d}--Z{shot.z:05d}--T{shot.t:05d}"
    return f"{_label(shot.key)}--{place}--{scan.channels[shot.channel].name}.tif"


def _ome(scan: PlateScan) -> str:
    objective = (
        f'<Objective ID="Objective:1" LensNA="{scan.numerical_aperture}" Model={quoteattr(scan.objective)} '
        f'NominalMagnification="{scan.magnification}"/>'
    )
    stand = '<Microscope Manufacturer="Olympus" Model="IX83" Type="Inverted"/>'
    keys = [FieldKey(well, field) for well in scan.wells for field in range(1, scan.fields + 1)]
    images = "\n".join(_image(scan, key) for key in keys)
    return f'{_HEAD}<OME {_OME}>\n<Instrument ID="Instrument:0">{stand}{objective}</Instrument>\n{images}\n</OME>\n'


def _image(scan: PlateScan, key: FieldKey) -> str:
    number = _number(scan, key)
    own = f"W{number}P{key.field}"
    every = [
        Shot(key.well, key.field, channel, z, t)
        for t in range(scan.n_t)
        for z in range(scan.n_z)
        for channel in range(len(scan.channels))
    ]
    sizes = f'SizeC="{len(scan.channels)}" SizeT="{scan.n_t}" SizeX="{scan.shape[1]}" SizeY="{scan.shape[0]}"'
    size_um = f'PhysicalSizeX="{scan.pixel_size_um:.6f}" PhysicalSizeY="{scan.pixel_size_um:.6f}"'
    channels = "".join(
        f'<Channel ID="Channel:{own}:{place}" Name={quoteattr(channel.name)} '
        f'EmissionWavelength="{channel.emission_nm}" ExcitationWavelength="{channel.excitation_nm}"/>'
        for place, channel in enumerate(scan.channels)
    )
    planes = "\n".join(_plane(scan, shot) for shot in every)
    data = "\n".join(
        f'<TiffData FirstC="{shot.channel}" FirstT="{shot.t}" FirstZ="{shot.z}">'
        f"<UUID FileName={quoteattr(_file_name(scan, shot))}/></TiffData>"
        for shot in every
    )
    return (
        f'<Image ID="Image:{own}" Name="Well {number}, Position {key.field} ({_label(key)})">\n'
        f"<AcquisitionDate>{START.isoformat()}</AcquisitionDate>"
        f'<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:1"/>\n'
        f'<Pixels DimensionOrder="XYCTZ" ID="Pixels:{own}" {size_um} {sizes} SizeZ="{scan.n_z}" Type="uint16">'
        f"{channels}\n{data}\n{planes}\n</Pixels></Image>"
    )


def _plane(scan: PlateScan, shot: Shot) -> str:
    x_um, y_um = scan.stage_um(shot.key)
    z_um = _FOCUS_UM + shot.z * scan.z_step_um
    seconds = (scan.acquired(shot) - START).total_seconds()
    exposure_s = scan.channels[shot.channel].exposure_ms / 1000
    return (
        f'<Plane DeltaT="{seconds:.3f}" ExposureTime="{exposure_s:.6f}" PositionX="{x_um:.6f}" PositionY="{y_um:.6f}" '
        f'PositionZ="{z_um:.6f}" TheC="{shot.channel}" TheT="{shot.t}" TheZ="{shot.z}"/>'
    )


def _descriptor(scan: PlateScan) -> str:
    entries = [
        _entry("plate name", scan.barcode),
        _entry("conversion factor um/pixel", scan.pixel_size_um),
        _entry("slices distance", scan.z_step_um),
        _entry("# slices", scan.n_z),
        _entry("timeloop count", scan.n_t - 1),
        _entry("timeloop delay [ms]", round(scan.time_step_s * 1000)),
        _cluster("format typedef", _entry("Rows", scan.layout.rows) + _entry("Columns", scan.layout.columns)),
    ]
    for channel in scan.channels:
        parts = _entry("name", channel.name) + _entry("exposure time", channel.exposure_ms) + _entry("idle", 0)
        entries.append(_cluster("channel", parts))
    wells = "".join(
        _entry("", _number(scan, FieldKey(well, 1))) + _entry("", _label(FieldKey(well, 1))) for well in scan.wells
    )
    entries.append(_cluster("well selection table + cDNA", wells))
    body = "\n".join(entries)
    return f'<?xml version="1.0"?>\n<LVData>\n{_cluster("experiment", body)}\n</LVData>\n'


def _entry(name: str, value: object) -> str:
    return f"<String><Name>{name}</Name><Val>{escape(str(value))}</Val></String>"


def _cluster(name: str, inside: str) -> str:
    return f"<Cluster><Name>{name}</Name>{inside}</Cluster>"
