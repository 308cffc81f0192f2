from pathlib import Path

from setuptools import find_packages, setup

NAME = "armtune_bringup"

setup(
    name=NAME,
    version="0.1.0",
    description="The table of nodes, launch files, the runner and the command line",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["hydra-core", "typer", "rich"],
    package_data={NAME: ["report/*.j2", "dataset/*.j2"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", [str(f) for f in sorted(Path("launch").glob("*.launch.py"))]),
        (f"share/{NAME}/config", [str(f) for f in sorted(Path("config").iterdir())]),
    ],
    entry_points={
        "console_scripts": [
            "armtune = armtune_bringup.cli:main",
        ],
    },
)
