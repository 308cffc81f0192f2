from pathlib import Path

from setuptools import find_packages, setup

NAME = "armtune_policies"
CONFIGS = Path("../configs")  # data of the whole product; installed here, beside who finds them
CONFIG_FILES: dict[str, list[str]] = {}
for file in sorted(CONFIGS.rglob("*.*")):
    CONFIG_FILES.setdefault(str(file.parent.relative_to(CONFIGS)), []).append(str(file))

setup(
    name=NAME,
    version="0.1.0",
    description="Policies, rewards, learning and their files; no ROS inside",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["numpy", "safetensors", "mcap", "rosbags", "pyyaml"],
    extras_require={
        "cpu": ["onnx", "onnxruntime"],  # never both: they own the same folder
        "gpu": ["onnx", "onnxruntime-gpu"],
        "datasets": ["pyarrow", "av", "pillow", "scipy", "h5py", "tfrecord", "crc32c"],
        "viewer": ["rerun-sdk"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *((f"share/{NAME}/configs/{folder}", files) for folder, files in CONFIG_FILES.items()),
    ],
)
