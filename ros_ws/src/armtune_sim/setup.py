from setuptools import find_packages, setup

NAME = "armtune_sim"

setup(
    name=NAME,
    version="0.1.0",
    description="A simulated arm with the topics of a real one; also a Gymnasium environment",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["numpy", "mujoco"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "fault_node = armtune_sim.fault_node:main",
            "sim_node = armtune_sim.sim_node:main",
        ],
    },
)
