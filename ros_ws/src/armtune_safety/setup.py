from setuptools import find_packages, setup

NAME = "armtune_safety"

setup(
    name=NAME,
    version="0.1.0",
    description="The gate, the one way to the motors, and the supervisor",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["numpy", "mujoco", "mink", "daqp", "ruckig"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "gate_node = armtune_safety.gate_node:main",
            "supervisor_node = armtune_safety.supervisor_node:main",
        ],
    },
)
