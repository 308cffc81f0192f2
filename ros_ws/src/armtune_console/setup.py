from setuptools import find_packages, setup

NAME = "armtune_console"

setup(
    name=NAME,
    version="0.1.0",
    description="The web app of the operator",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=[],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
)
