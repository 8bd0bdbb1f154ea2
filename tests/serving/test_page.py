"""The page's JavaScript does what the package does in Python, bit for bit; run by Node.js."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

import keras_unet
from keras_unet.geometry.tiles import plan_fixed
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.inference.tiling import predict_tiles
from keras_unet.normalization import Normalization
from keras_unet.objects.labelling import connected_components
from keras_unet.targets import ClassTarget, SeedTarget

PAGE = Path(keras_unet.__file__).parent / "page"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")


def call(module: str, code: str, **values):
    """Runs `code` with the module's functions as `$` and the values by name; returns its result."""
    lines = [
        f"import * as $ from {json.dumps((PAGE / module).as_uri())};",
        'import { readFileSync } from "node:fs";',
        "const given = JSON.parse(readFileSync(0));",
        *[f"const {name} = given[{json.dumps(name)}];" for name in values],
        f"const result = await (async () => {{ {code} }})();",
        "console.log(JSON.stringify(result));",
    ]
    plain = {
        name: value.ravel().tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }
    answer = subprocess.run(
        [NODE, "--input-type=module", "--eval", "\n".join(lines)],
        input=json.dumps(plain),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def smooth(shape, seed, sigma=2.0):
    """A random field in 0..1, float32."""
    noise = np.random.default_rng(seed).normal(size=shape)
    field = ndimage.gaussian_filter(noise, (sigma, sigma, 0)[: noise.ndim])
    return ((field - field.min()) / np.ptp(field)).astype(np.float32)


@pytest.mark.parametrize(
    "target",
    [
        ClassTarget(),
        ClassTarget(threshold=0.3, min_size=20, connectivity=2),
        ClassTarget(num_classes=4, min_size=5),
        SeedTarget(),
        SeedTarget(threshold=0.55, seed_threshold=0.6, min_size=12, min_seed_size=5),
        SeedTarget(connectivity=2, seed_threshold=0.9),
    ],
    ids=lambda target: f"{target.name}-{target.num_outputs}",
)
def test_objects_are_those_of_the_target(target):
    shape = (37, 52, target.num_outputs)
    fields = smooth(shape, seed=1, sigma=1.5)
    p = fields if target.name == "seeds" else target.activate(20 * fields)
    expected = target.decode(p)
    found = call(
        "decoding.js",
        "const { classes, instances } = $.decode(Float32Array.from(p), height, width, target);"
        "return [[...classes], [...instances]];",
        p=p,
        height=shape[0],
        width=shape[1],
        target={"name": target.name, "config": target.get_config()},
    )
    assert expected.instances.max() > 3
    assert np.array_equal(found[0], expected.classes.ravel())
    assert np.array_equal(found[1], expected.instances.ravel())


@pytest.mark.parametrize("connectivity", [1, 2])
def test_components_are_numbered_by_their_first_pixel(connectivity):
    mask = smooth((23, 31), seed=3, sigma=1) > 0.5
    ids = call(
        "arrays.js",
        "return [...$.connectedComponents(mask, 23, 31, connectivity)];",
        mask=mask,
        connectivity=connectivity,
    )
    assert np.array_equal(ids, connected_components(mask, connectivity).ravel())


@pytest.mark.parametrize("mode", ["percentile", "unit", "zscore", "none"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_normalization(mode, per_channel):
    image = (255 * smooth((29, 40, 3), seed=5) ** 2).astype(np.uint8)
    image[..., 1] //= 2
    normalization = Normalization(mode, per_channel=per_channel)
    found = call(
        "normalization.js",
        "return [...$.normalize(Uint8Array.from(image), 3, options)];",
        image=image,
        options=normalization.get_config(),
    )
    expected = normalization(image).ravel()
    # The mean and deviation of "zscore" are summed in another order.
    tolerance = 1e-6 if mode == "zscore" else 0
    np.testing.assert_allclose(np.float32(found), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("values", [[7] * 12, [0] * 11 + [9]], ids=["flat", "one bright pixel"])
def test_normalization_without_contrast(values):
    image = np.array(values, np.uint8).reshape(3, 4, 1)
    normalization = Normalization(low=1, high=50)
    found = call(
        "normalization.js",
        "return [...$.normalize(Uint8Array.from(image), 1, options)];",
        image=image,
        options=normalization.get_config(),
    )
    assert np.array_equal(np.float32(found), normalization(image).ravel())


@pytest.mark.parametrize(("padding", "mirrored"), [("valid", 8), ("same", 8), ("same", 2)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (41, 67)])
def test_tiles(padding, mirrored, shape):
    geometry = UNetGeometry(depth=1, padding=padding)
    tile = [
        geometry.nearest(size)[1] for size in (2 * geometry.margin + 9, 2 * geometry.margin + 21)
    ]
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    margin = geometry.margin

    def shifted(batch):
        """Three planes from two, cropped like a valid network, that tell places apart."""
        planes = np.stack([batch[..., 0], batch[..., 1], batch[..., 0] * 2], axis=-1)
        return planes[:, margin:-margin, margin:-margin] if padding == "valid" else planes

    expected = predict_tiles(image, plan_fixed(shape, geometry, tile, mirrored), shifted)
    found = call(
        "tiling.js",
        """
        const valid = geometry.padding === "valid", m = valid ? geometry.margin : 0;
        const run = async (values) => {
          const out = [];
          for (let y = m; y < tile[0] - m; y++) for (let x = m; x < tile[1] - m; x++) {
            const at = 2 * (y * tile[1] + x);
            out.push(values[at], values[at + 1], values[at] * 2);
          }
          return Float32Array.from(out);
        };
        const shares = [];
        const found = await $.predictTiles(Float32Array.from(image), height, width, 2, geometry,
          tile, run, (share) => shares.push(share));
        return [[...found], shares];
        """,
        image=image,
        height=shape[0],
        width=shape[1],
        geometry={
            **{"margin": margin, "mirrored": mirrored},
            **{"stride": geometry.stride, "padding": padding},
        },
        tile=[int(size) for size in tile],
    )
    assert np.array_equal(np.float32(found[0]), expected.ravel())
    assert found[1][-1] == 1


@pytest.mark.parametrize("bits", [8, 16])
def test_png(bits):
    values = np.random.default_rng(2).integers(0, 2**bits, (7, 13))
    data = call(
        "pictures.js",
        "const png = await $.greyPng(values, 7, 13, bits);"
        "return [...new Uint8Array(await png.arrayBuffer())];",
        values=values,
        bits=bits,
    )
    read = cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype.itemsize * 8 == bits
    assert np.array_equal(read, values)


def test_table_of_objects():
    instances = np.array([[1, 1, 0], [0, 2, 2]])
    rows = call(
        "objects.js",
        "const rows = $.measure(instances, classes, 3, names);"
        "return [$.csvOf(rows), $.medianArea([{ area: 5 }, { area: 1 }, { area: 2 }])];",
        instances=instances,
        classes=np.array([[1, 1, 0], [0, 2, 2]]),
        names=["background", "cell", 'a "big", one'],
    )
    assert rows == [
        "id,class,area,x,y,left,top,right,bottom\n"
        "1,cell,2,0.5,0,0,0,1,0\n"
        '2,"a ""big"", one",2,1.5,1,1,1,2,1\n',
        2,
    ]
