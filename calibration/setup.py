from setuptools import find_packages, setup

NAME = "armtune_calibration"

setup(
    name=NAME,
    version="0.1.0",
    description="Intrinsics, hand-eye, workspace: solve, report, load",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["*.j2"]},
    install_requires=["numpy", "scipy", "opencv-python-headless", "pyyaml"],
    extras_require={"report": ["matplotlib", "jinja2"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
)
