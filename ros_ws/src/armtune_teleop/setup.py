from setuptools import find_packages, setup

NAME = "armtune_teleop"

setup(
    name=NAME,
    version="0.1.0",
    description="Devices to proposals",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["web/*.html", "web/*.js", "web/*.css"]},
    install_requires=["numpy", "starlette", "uvicorn", "websockets"],
    extras_require={"gamepad": ["evdev"], "spacemouse": ["pyspacemouse"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={"console_scripts": ["teleop_node = armtune_teleop.teleop_node:main"]},
)
